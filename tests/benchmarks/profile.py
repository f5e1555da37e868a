"""Shares of the processor time of training, by kind of operation.

    python -m tests.benchmarks.profile [--rows mini base lines] [--steps 6] [--data FOLDER]

The trainings are those of `python -m tests.benchmarks.pretrain`, with the default optimiser, on one thread, under
torch's profiler, with the preparation of batches. All operations inside the optimiser's step count as the
optimiser's.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from tests.benchmarks.pretrain import CASES, prepare, train_with_kepipe

KINDS = {
    "matrix products": ("mm", "addmm", "bmm", "baddbmm", "linear", "matmul", "addmm_", "mkldnn_linear"),
    "exponentials": ("exp", "exp_", "_softmax", "_log_softmax", "logsumexp", "_softmax_backward_data", "amax"),
    "GELU": ("gelu", "gelu_backward"),
    "norms": ("native_layer_norm", "native_layer_norm_backward"),
    "copies, casts": ("copy_", "_to_copy", "clone", "cat", "contiguous", "index_copy_", "fill_", "zero_"),
    "rows by index": ("index_select", "index", "index_put_", "_index_put_impl_", "index_add_", "embedding",
                      "embedding_dense_backward", "gather", "scatter_", "index_add"),
    "sums, products by element": ("add", "add_", "mul", "mul_", "sub", "sub_", "div", "div_", "sum", "where"),
}  # fmt: skip
"""Kind → names of torch's operations."""
OPTIMISER, REST = "optimiser", "everything else of torch"


def kind_of(event: Any) -> str:
    """The kind of an event of the profiler."""
    parent = event
    while parent is not None:
        if parent.name.startswith("Optimizer.step"):
            return OPTIMISER
        parent = parent.cpu_parent
    name = event.name.removeprefix("aten::")
    return next((kind for kind, names in KINDS.items() if name in names), REST)


def shares(case: str, root: Path, steps: int) -> dict[str, float]:
    """Kind of operation → its share of the processor time that torch's operations took."""
    import torch
    from torch.profiler import ProfilerActivity

    torch.set_num_threads(1)
    with torch.profiler.profile(activities=[ProfilerActivity.CPU]) as profiler:
        train_with_kepipe(CASES[case], root / CASES[case].text / "out", steps)
    seconds = Counter[str]()
    for event in profiler.events():
        seconds[kind_of(event)] += event.self_cpu_time_total
    return {kind: kind_seconds / seconds.total() for kind, kind_seconds in seconds.items()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", nargs="+", choices=list(CASES), default=["mini", "base", "lines"])
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--data", type=Path, help="store the shards in this folder and reuse them")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = args.data or Path(folder)
        if not (root / "lines" / "out").exists():
            prepare(root)
        shares_by_case = {case: shares(case, root, args.steps) for case in args.rows}
    print(f"{'':28}" + "".join(f"{case:>8}" for case in shares_by_case))
    for kind in (*KINDS, OPTIMISER, REST):
        print(
            f"{kind:28}" + "".join(f"{shares_by_case[case].get(kind, 0.0):8.1%}" for case in shares_by_case)
        )


if __name__ == "__main__":
    main()
