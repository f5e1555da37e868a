"""The one transformer, the table of families, model folders, and the way from and to Hugging Face."""
