"""Data drift between new text and a model's training text: a table of measures."""
