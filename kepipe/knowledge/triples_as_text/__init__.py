"""`triples-as-text`: facts of a graph written out as sentences."""
