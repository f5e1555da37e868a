"""Probes: evaluations on held-out text without training; a probe is one file and one row of `table.py`."""
