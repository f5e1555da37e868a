"""Gold links → examples → a trained ranker."""
