"""Runs, data and models in MLflow, by way of a journal on disk: nothing waits for a server."""

from kepipe.tracking.tracker import Tracker, track

__all__ = ["Tracker", "track"]
