"""Text formats, one module per format. Each reads documents from files."""
