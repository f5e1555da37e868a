"""Texts as linking sees them: laid end to end, with words, casing, and what tagger, parser and NER say."""
