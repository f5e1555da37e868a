"""Runs, datasets and models in MLflow. Events go to a journal on disk first, so that no run waits for a server."""

from kepipe.tracking.cursor import pending
from kepipe.tracking.store import reachable, store_uri
from kepipe.tracking.tracker import Tracker, track

__all__ = ["Tracker", "pending", "reachable", "store_uri", "track"]
