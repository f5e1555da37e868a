"""Fine-tuning: readers, rows, heads, metrics; a task is one file and one row of `table.py`."""
