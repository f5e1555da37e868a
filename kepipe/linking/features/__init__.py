"""Feature vectors of candidates: of the mention in its text, and of the entity given the text."""
