"""A text corpus + a knowledge graph + a base model → a language model that knows the graph."""

__version__ = "0.1.0"
