"""Find the mentions of a graph's entities in text: candidates, features, a small ranker, scores."""
