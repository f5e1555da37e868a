"""A pipeline with all that it reads and all that runs it, in one archive."""
