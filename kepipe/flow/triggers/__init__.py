"""Triggers of schedules: a table."""
