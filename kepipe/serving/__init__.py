"""Serving a model over HTTP: requests are batched, and a registered model is reloaded when its alias moves."""
