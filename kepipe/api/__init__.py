"""The Python API: one function per command; the command line only adds parsing and printing."""
