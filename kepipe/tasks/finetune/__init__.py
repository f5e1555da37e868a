"""What a model is fine-tuned for: readers, marks, heads, metrics; a task is one file and one row of `table.py`."""
