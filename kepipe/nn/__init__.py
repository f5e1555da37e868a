"""Building blocks of transformers. They are constructed from modules and plain numbers, never from a config."""
