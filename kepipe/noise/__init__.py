"""Corruptions. Each consists of a function that draws random decisions, and a deterministic one that applies them."""
