"""Console output of running commands: lines, progress bars, JSON."""
