"""What several tests build on: small corpora, graphs, models, servers."""
