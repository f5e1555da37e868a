"""Import from and export to Hugging Face: one table per family, used for loading and, inverted, for saving."""
