"""State that a model carries from batch to batch, kept outside the model: ELMo's LSTM states, XLNet's memory.

The loop gives each batch of a stream the state that the stream's previous batch left (`Batch.state`), without knowing
its content. The state is part of a checkpoint, so that an interrupted run continues with the same result.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from kepipe.data.batch import Batch


class CarriedStates:
    """Stream → name → tensor, rows first (`Batch.state`)."""

    def __init__(self) -> None:
        self._streams: dict[int, dict[str, Tensor]] = {}
        self._seen: set[int] = set()
        """Streams that this process has continued; the others are as in the checkpoint."""

    def attach(self, batch: Batch) -> Batch:
        """The batch with its stream's state, reset to zeros in rows that begin a text. A batch of shuffled rows is
        returned as it is.

        `Batch.state` is the stream's own dict: the model updates it in place, and the next batch of the stream gets the
        values, detached. Raises ValueError if rows continue a batch that this process has not seen.
        """
        if batch.continues is None:
            return batch
        self._seen.add(batch.stream)
        state = self._streams.setdefault(batch.stream, {})
        continues_B, known_B = batch.continues, batch.host.continues
        assert known_B is not None
        if not bool(known_B.any()):
            state.clear()
        elif not state:
            raise ValueError(
                f"rows continue a batch of stream {batch.stream} that this process has not seen: streams stay with "
                "their processes only if all batches are of text; set `processes: 1`"
            )
        for name, value in state.items():
            kept = value[: len(continues_B)].detach()
            rows = continues_B.reshape(-1, *[1] * (kept.ndim - 1))
            state[name] = torch.where(rows, kept, torch.zeros_like(kept))
        return replace(batch, state=state)

    def tensors(self) -> dict[str, Tensor]:
        """The states of all streams of all processes: "stream.name" → tensor on the CPU."""
        ours = {stream: _on_cpu(self._streams[stream]) for stream in self._seen}
        everyone = [ours]
        if torch.distributed.is_initialized():
            everyone = [{} for _ in range(torch.distributed.get_world_size())]
            torch.distributed.all_gather_object(everyone, ours)
        newest = {stream: _on_cpu(state) for stream, state in self._streams.items()}
        for of_process in everyone:
            newest |= of_process
        return {
            f"{stream}.{name}": value for stream, state in newest.items() for name, value in state.items()
        }

    def restore(self, saved: Mapping[str, Tensor], device: torch.device) -> None:
        """Load the states that `tensors` returned."""
        for key, value in saved.items():
            stream, name = key.split(".", 1)
            self._streams.setdefault(int(stream), {})[name] = value.to(device)


def _on_cpu(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().cpu() for name, value in state.items()}
