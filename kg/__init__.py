"""A library for knowledge graphs: reading, storage, search, embeddings. Independent of kepipe."""
