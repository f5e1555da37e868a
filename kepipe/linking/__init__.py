"""Find the mentions of a graph's entities in text: candidates, features, a small ranker, scores."""

LINKER = "linker"
"""Folder of a linker: in the result of a stage, and in the folder of a model that uses it for new texts."""
