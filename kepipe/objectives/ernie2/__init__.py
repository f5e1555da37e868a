"""The tasks of ERNIE 2.0 that tell labels (Sun et al. 2020): of rows, or of tokens, on rows of their own."""
