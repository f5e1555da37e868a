"""Scores of links, explanations of a linker's decisions, and diagnosis of what it misses."""
