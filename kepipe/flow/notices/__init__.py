"""Notifications of scheduled runs: a table of channels."""
