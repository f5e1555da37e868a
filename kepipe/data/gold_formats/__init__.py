"""Readers of gold sets for entity linking, one module per format."""
