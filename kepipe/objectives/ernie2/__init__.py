"""ERNIE 2.0's pretraining tasks with labels (Sun et al. 2020): each classifies rows or tokens, on rows of its own."""
