"""Objectives that move the vectors of texts that belong together towards one another, and others apart."""
