"""Contrastive objectives: pull the vectors of matching texts together, and push others apart."""
