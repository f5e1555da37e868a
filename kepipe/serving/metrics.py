"""The server's metrics, in Prometheus' format."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
TEXTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class ServerMetrics:
    """`waiting`: returns the number of waiting texts."""

    media_type = CONTENT_TYPE_LATEST

    def __init__(self, waiting: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "kepipe_requests", "Requests by response status.", ["status"], registry=self._registry
        )
        self.seconds = Histogram(
            "kepipe_request_seconds", "Response time.", buckets=SECONDS, registry=self._registry
        )
        self.batch = Histogram(
            "kepipe_batch_texts", "Texts per batch.", buckets=TEXTS, registry=self._registry
        )
        self._version = Gauge(
            "kepipe_model",
            "1 for the version that is being served.",
            ["model", "version"],
            registry=self._registry,
        )
        ProcessCollector(registry=self._registry)
        self.in_progress = Gauge(
            "kepipe_requests_in_progress", "Requests without a response yet.", registry=self._registry
        )
        queue = Gauge("kepipe_waiting_texts", "Texts in the queue.", registry=self._registry)
        queue.set_function(waiting)

    def text(self, model: str, version: str) -> bytes:
        """All metrics as text; `version` of `model` is the one that is being served."""
        self._version.clear()
        self._version.labels(model, version).set(1)
        return generate_latest(self._registry)
