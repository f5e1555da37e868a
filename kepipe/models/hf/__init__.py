"""Hugging Face both ways: one table a family, read in one direction to load and in the other to save."""
