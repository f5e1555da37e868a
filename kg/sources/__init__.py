"""Readers of graph formats, one module per format. Each fills a `GraphWriter`."""
