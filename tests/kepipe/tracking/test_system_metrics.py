"""System metrics of a stage, also if a GPU does not report all values."""

from __future__ import annotations

from types import SimpleNamespace

import pynvml
import pytest

from kepipe.flow.events import Event, Metrics
from kepipe.tracking.system_metrics import SystemMetrics
from tests.support.waiting import until


def test_partitioned_gpu_does_not_stop_system_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second of two GPUs: its utilisation is refused, its memory reported."""

    def load(handle: int) -> SimpleNamespace:
        if handle == 1:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return SimpleNamespace(gpu=87)

    monkeypatch.setattr(pynvml, "nvmlInit", lambda: None)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetCount", lambda: 2)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByIndex", lambda index: index)
    monkeypatch.setattr(
        pynvml, "nvmlDeviceGetMemoryInfo", lambda _handle: SimpleNamespace(used=2e9, total=8e9)
    )
    monkeypatch.setattr(pynvml, "nvmlDeviceGetUtilizationRates", load)
    heard: list[Event] = []
    watch = SystemMetrics(heard.append, interval=0.05)
    watch.start("run", "stage")
    until(lambda: len(heard) >= 3)
    watch.stop()
    event = heard[-1]
    assert isinstance(event, Metrics)
    of_gpus = {name.removeprefix("system/"): value for name, value in event.values.items() if "gpu" in name}
    assert of_gpus == {
        "gpu_0_utilization_percentage": 87,
        "gpu_0_memory_usage_percentage": 25.0,
        "gpu_0_memory_usage_megabytes": 2000.0,
        "gpu_1_memory_usage_percentage": 25.0,
        "gpu_1_memory_usage_megabytes": 2000.0,
    }
