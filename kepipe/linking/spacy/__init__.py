"""The linker in spaCy's pipelines, and its names as spaCy's knowledge base."""
