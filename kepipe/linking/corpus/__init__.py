"""Linking a large corpus chunk by chunk."""
