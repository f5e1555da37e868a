"""Stages, their store, the plan and the runner. Knows nothing of language or graphs."""
