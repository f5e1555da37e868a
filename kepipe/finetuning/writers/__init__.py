"""How models of each stack write answers: `table.py` has a row for each."""
