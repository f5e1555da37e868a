"""Texts as input to linking: concatenated batches, words, casing, and the output of tagger, parser and NER."""
