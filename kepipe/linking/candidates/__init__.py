"""Candidate generation: names of a graph in texts, and the entities that each may mean."""
