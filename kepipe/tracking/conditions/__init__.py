"""Conditions of the promotion gate: a table."""
