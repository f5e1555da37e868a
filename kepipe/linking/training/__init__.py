"""Gold links → training examples → a trained ranker."""
