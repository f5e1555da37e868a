"""Readers of graphs, one module a format: each fills a `GraphWriter`."""
