"""Probe `graph-quiz`: facts of the graph as questions with options, put to any language model."""
