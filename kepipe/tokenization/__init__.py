"""Tokenizers: one interface for all of them, and their training."""
