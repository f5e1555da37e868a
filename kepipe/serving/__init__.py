"""A model that answers over HTTP: requests batched, a registered model swapped as its alias moves."""
