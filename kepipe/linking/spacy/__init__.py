"""The linker as a spaCy pipeline component, and its names as a spaCy knowledge base."""
