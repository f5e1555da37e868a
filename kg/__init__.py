"""The knowledge graph: read it, store it, search it, embed it. A library of its own."""
