"""System metrics during a stage: processor, memory, disk, network and GPUs, sampled in a thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from kepipe.flow.events import Metrics, Sink

Reading = dict[str, float]


class SystemMetrics:
    """Sends system metrics to `sink` every `interval` seconds, as metrics of the running stage.

    Names are those of MLflow's own monitor, so that MLflow shows them on its page of system metrics.
    """

    def __init__(self, sink: Sink, interval: float = 10.0) -> None:
        self._sink, self._interval = sink, interval
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, run: str, stage: str) -> None:
        """Start sampling for a stage. The first sample is taken early, for short stages."""
        self.stop()
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._sample, args=(run, stage, self._stop), name="kepipe-system-metrics", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop sampling; nothing is sent afterwards."""
        if self._thread is not None:
            self._stop.set()
            self._thread.join()
            self._thread = None

    def _sample(self, run: str, stage: str, stop: threading.Event) -> None:
        step, pause = 0, min(1.0, self._interval)
        machine, gpus = _machine(), _gpus()
        while not stop.wait(pause):
            reading = {f"system/{name}": value for name, value in {**machine(), **gpus()}.items()}
            self._sink(Metrics(run=run, stage=stage, values=reading, step=step))
            step, pause = step + 1, self._interval


def _machine() -> Callable[[], Reading]:
    """Reads processor and memory in percent and megabytes, disk and network in megabytes a second."""
    import psutil

    process = psutil.Process()
    psutil.cpu_percent()
    last = [time.monotonic(), *_traffic()]

    def read() -> Reading:
        now = [time.monotonic(), *_traffic()]
        seconds = max(now[0] - last[0], 1e-3)
        rates = [(new - old) / seconds / 1e6 for new, old in zip(now[1:], last[1:], strict=True)]
        last[:] = now
        memory = psutil.virtual_memory()
        return {
            "cpu_utilization_percentage": psutil.cpu_percent(),
            "system_memory_usage_megabytes": memory.used / 1e6,
            "system_memory_usage_percentage": memory.percent,
            "process_memory_megabytes": process.memory_info().rss / 1e6,
            "disk_read_megabytes_per_second": rates[0],
            "disk_write_megabytes_per_second": rates[1],
            "network_receive_megabytes_per_second": rates[2],
            "network_transmit_megabytes_per_second": rates[3],
        }

    return read


def _traffic() -> list[float]:
    """Bytes read, written, received and sent since boot; 0 where the system does not report them."""
    import psutil

    disk: Any = psutil.disk_io_counters()
    network: Any = psutil.net_io_counters()
    return [
        getattr(disk, "read_bytes", 0),
        getattr(disk, "write_bytes", 0),
        getattr(network, "bytes_recv", 0),
        getattr(network, "bytes_sent", 0),
    ]


def _gpus() -> Callable[[], Reading]:
    """Reads load and memory of NVIDIA GPUs, as far as each reports them; empty without GPUs."""
    import pynvml

    try:
        pynvml.nvmlInit()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
    except pynvml.NVMLError:
        return dict

    def read() -> Reading:
        reading: Reading = {}
        for index, handle in enumerate(handles):
            with suppress(pynvml.NVMLError):
                memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
                reading[f"gpu_{index}_memory_usage_percentage"] = 100 * memory.used / memory.total
                reading[f"gpu_{index}_memory_usage_megabytes"] = memory.used / 1e6
            with suppress(
                pynvml.NVMLError
            ):  # a GPU partitioned into instances (MIG) does not report its load
                load = pynvml.nvmlDeviceGetUtilizationRates(handle).gpu
                reading[f"gpu_{index}_utilization_percentage"] = load
        return reading

    return read
