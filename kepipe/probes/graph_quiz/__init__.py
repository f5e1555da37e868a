"""Probe `graph-quiz`: facts of the graph as multiple-choice questions, for any language model."""
