"""Scores → the mentions of a text: the best candidates that do not overlap, pronouns, joined places."""
