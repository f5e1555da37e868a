"""Shared by several tests: small corpora, graphs, models, servers."""
