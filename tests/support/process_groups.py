"""A torch.distributed process group with this process as its only member."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from kepipe.training import distributed


@contextmanager
def group_of_one(folder: Path) -> Iterator[None]:
    """`folder`: for its rendezvous file."""
    torch.distributed.init_process_group(
        "gloo", init_method=(folder / "group").as_uri(), rank=0, world_size=1
    )
    try:
        yield
    finally:
        torch.distributed.destroy_process_group()
        distributed.make_accelerator("fp32", "cpu")
