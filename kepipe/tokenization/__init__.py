"""Tokenizers: one face for all of them, and their training."""
