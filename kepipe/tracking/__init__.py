"""Runs, data and models in MLflow, by way of a journal on disk: nothing waits for a server."""

from kepipe.tracking.cursor import pending
from kepipe.tracking.store import reachable, store_uri
from kepipe.tracking.tracker import Tracker, track

__all__ = ["Tracker", "pending", "reachable", "store_uri", "track"]
