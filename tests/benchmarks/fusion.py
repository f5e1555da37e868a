"""Time of a training step with fused entity vectors compared with a plain one, and cost of a large table of vectors.

    python -m tests.benchmarks.fusion [--rows mini minilm base table] [--steps 8] [--links 0.08] [--precision bf16]

Steps: processor time of corruption, loss, gradient and update. Both models read the same rows of random tokens, of
which a share begins a mention; the plain one learns `mlm` alone, the fused one with `knowledge: ernie-tsinghua` and
vectors of dimension 100: MLM, next sentence and dEA. Steps of the two alternate, so that a busy machine slows both;
the median of each is printed. Required ratio: at most 1.35. The row `table` makes a table of 5 million entities (the
vectors in a sparse file: 150 MB on disk), opens it, and looks up the entities of batches.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import torch

from kepipe.data.batch import TokenRows
from kepipe.knowledge.ernie_tsinghua.method import ErnieTsinghuaMethod, FusedEntities
from kepipe.knowledge.ernie_tsinghua.settings import ErnieTsinghua
from kepipe.knowledge.ernie_tsinghua.vectors import EntityVectors
from kepipe.models.base import Base, build
from kepipe.models.transformer import Transformer
from kepipe.objectives import table
from kepipe.objectives.base import Objective
from kepipe.tokenization.tokenizer import Tokenizer
from kg.vectors import TABLE, save_vectors

VOCABULARY, ENTITIES, LENGTH = 16_384, 20_000, 128
MILLIONS, WIDTH, MENTIONS = 5_000_000, 100, 300
LIMIT = 1.35
BASES: dict[str, tuple[dict[str, int], int]] = {
    # sizes, and tokens of a step
    "mini": ({"layers": 4, "hidden": 256, "heads": 4}, 4096),
    "minilm": ({"layers": 6, "hidden": 384, "heads": 12}, 2048),
    "base": ({"layers": 12, "hidden": 768, "heads": 12}, 1024),
}
IDS = cast(
    Tokenizer,
    SimpleNamespace(mask=3, pad=0, cls=1, sep=2, vocab_size=VOCABULARY, ordinary=np.arange(5, VOCABULARY)),
)


def rows(tokens: int, share: float, ids: Sequence[str], rng: np.random.Generator) -> TokenRows:
    """Full rows of two segments, with mentions of one token."""
    shape = (tokens // LENGTH, LENGTH)
    special = np.zeros(shape, dtype=np.bool_)
    special[:, [0, LENGTH // 2, -1]] = True
    units = np.where(special, -1, np.arange(LENGTH))
    starts = (rng.random(shape) < share) & ~special
    drawn, labels = rng.integers(5, VOCABULARY, shape), rng.integers(0, 2, shape[0])
    entities = rng.integers(0, ENTITIES, shape)
    return TokenRows(
        tokens=drawn,
        segments=np.broadcast_to((np.arange(LENGTH) > LENGTH // 2).astype(np.int64), shape),
        documents=np.ones(shape, dtype=np.int64),
        special=special,
        units={"word": units, "phrase": units, "entity": units},
        entities=np.where(starts, entities, -1),
        sentences=units,
        next_sentence_labels=labels,
        entity_ids=ids,
    )


def make_step(objective: Objective, model: Transformer, precision: str) -> Callable[[TokenRows, int], float]:
    """A function that makes a training step and returns its processor time."""
    collate, criterion = objective.collate, objective.criterion
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    model.train()

    def step(rows: TokenRows, number: int) -> float:
        start = time.process_time()
        batch = collate(rows, np.random.default_rng(number), 0.0)
        with torch.autocast("cpu", torch.bfloat16) if precision == "bf16" else nullcontext():
            losses = criterion(model, batch)
        torch.autograd.backward([losses[term] for term in criterion.terms])
        optimizer.step()
        optimizer.zero_grad()
        return time.process_time() - start

    return step


def measure_table(folder: Path) -> None:
    """Print the time of opening a table and of a batch, and the private memory of this process."""
    save_vectors(folder, [f"Q{17 * row}" for row in range(MILLIONS)], np.zeros((MILLIONS, 0), np.float32))
    header = {
        "entities": {"dtype": "F32", "shape": [MILLIONS, WIDTH], "data_offsets": [0, 4 * MILLIONS * WIDTH]}
    }
    header_bytes = json.dumps(header).encode()
    header_bytes += b" " * (-len(header_bytes) % 8)
    with (folder / TABLE).open("wb") as stream:
        stream.write(len(header_bytes).to_bytes(8, "little") + header_bytes)
        stream.truncate(8 + len(header_bytes) + 4 * MILLIONS * WIDTH)
    rng, before = np.random.default_rng(0), own_memory()
    start = time.process_time()
    vectors = EntityVectors.open(folder)
    opened = time.process_time() - start
    vectors.gather(vectors.rows(["Q17"])[None])
    first = time.process_time() - start
    times = []
    for _ in range(100):
        ids = [f"Q{17 * row}" for row in rng.integers(0, MILLIONS, MENTIONS).tolist()]
        start = time.process_time()
        vectors.gather(vectors.rows(ids)[None])
        times.append(time.process_time() - start)
    batch, own_mebibytes = 1e3 * float(np.median(times)), (own_memory() - before) / 2**20
    print(
        f"{len(vectors):,} entities, in processor time: opened in {1e3 * opened:.1f} ms, the first found after "
        f"{1e3 * first:.1f} ms;"
    )
    print(f"a batch with {MENTIONS} mentions in {batch:.1f} ms; {own_mebibytes:.0f} MiB of private memory")


def own_memory() -> int:
    """Bytes of this process that are not pages of files (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


def main() -> None:
    """Print a row for each size; the exit code is 1 if a ratio exceeds `LIMIT`."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", nargs="+", choices=[*BASES, "table"], default=["mini", "minilm", "base"])
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--links", type=float, default=0.08, help="share of the tokens that begin a mention")
    parser.add_argument("--precision", choices=["bf16", "fp32"], default="bf16")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rng, worst = np.random.default_rng(0), 0.0
    with tempfile.TemporaryDirectory() as folder:
        matrix = rng.standard_normal((ENTITIES, 100)).astype(np.float32)
        ids = list(map(str, range(ENTITIES)))
        save_vectors(Path(folder), ids, matrix)
        knowledge = FusedEntities(EntityVectors.open(Path(folder)), ErnieTsinghua())
        mlm = table.build(table.read("mlm"), IDS)
        if "table" in args.rows:
            measure_table(Path(folder) / "table")
        sizes_to_run = [row for row in args.rows if row in BASES]
        if sizes_to_run:
            print(f"{'':8}{'plain ms':>10}{'fused ms':>10}{'ratio':>8}")
        for size in sizes_to_run:
            sizes, tokens = BASES[size]
            base = Base.model_validate({"family": "bert", **sizes})
            plain, fused = build(base, VOCABULARY, 0), build(base, VOCABULARY, 0)
            fused = ErnieTsinghuaMethod().extend_model(fused, knowledge, 0, lambda _: None)
            step_functions = [
                make_step(mlm, plain, args.precision),
                make_step(knowledge.objective(mlm), fused, args.precision),
            ]
            times: list[list[float]] = [[] for _ in step_functions]
            for number in range(args.steps + 1):
                batch = rows(tokens, args.links, ids, rng)
                for step_times, step in zip(times, step_functions, strict=True):
                    step_times.append(step(batch, number))
            plain_ms, fused_ms = (1e3 * float(np.median(step_times[1:])) for step_times in times)
            worst = max(worst, fused_ms / plain_ms)
            print(f"{size:8}{plain_ms:10.0f}{fused_ms:10.0f}{fused_ms / plain_ms:8.2f}", flush=True)
    raise SystemExit(int(worst > LIMIT))


if __name__ == "__main__":
    main()
