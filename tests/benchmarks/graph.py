"""Import and look-ups of large graphs.

    python -m tests.benchmarks.graph geonames
    python -m tests.benchmarks.graph synthetic [ENTITIES TRIPLES]
    KEPIPE_DATA=… python -m tests.benchmarks.graph formats

Prints wall time, processor time and peak memory of the import, and then, in a new process, the time of opening and
look-ups per second of processor time. The synthetic graph (by default 5 million entities, 20 million triples) draws its
entities uniformly, which is the worst case for caches. `formats` writes FB15k-237 of $KEPIPE_DATA in several formats
and imports each.
"""

from __future__ import annotations

import gzip
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from kg.problems import Problems
from kg.sources.reading import Choices
from kg.sources.table import FORMATS, read_source
from kg.store import open_graph
from kg.writer import SPLITS, GraphWriter

LOOK_UPS = 20_000
FORMATTED = {
    "graph.tsv": "native", "graph.spo": "spo", "graph.csv": "csv", "graph.nt": "rdf", "graph.nt.gz": "rdf"
}  # fmt: skip
LABEL = "http://www.w3.org/2000/01/rdf-schema#label"


def write_triples(file: Path, entities: int, triples: int) -> None:
    """A TSV file of random triples with ids like Wikidata's and 200 relations."""
    rng = np.random.default_rng(0)
    with file.open("w") as stream:
        for begin in range(0, triples, 1_000_000):
            drawn = rng.integers(0, [entities, 200, entities], (min(1_000_000, triples - begin), 3)).tolist()
            stream.write("".join(f"Q{head}\tP{relation}\tQ{tail}\n" for head, relation, tail in drawn))


def build(format: str, source: Path, store: Path) -> None:
    """Import as `kepipe graph import` does, and print time and memory."""
    clock, processor = time.perf_counter(), time.process_time()
    writer, problems = GraphWriter(store), Problems()
    read_source(FORMATS[format], source, writer, problems, lambda _: None, Choices(min_population=500))
    graph = writer.finish()
    seconds, processor_seconds = time.perf_counter() - clock, time.process_time() - processor
    counts = graph.describe()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(", ".join(f"{count:,} {name}" for name, count in counts.items() if count))
    print(
        f"import: {seconds:.1f} s, {counts['triples'] / seconds:,.0f} triples/s "
        f"({processor_seconds:.1f} s of the processor, {counts['triples'] / processor_seconds:,.0f} triples/s); "
        f"peak memory {peak:.2f} GiB"
    )


def write_formats(source: Path, folder: Path) -> None:
    """The triples and labels of FB15k-237 as the files of `FORMATTED`."""
    lines = [line for split in SPLITS for line in (source / f"{split}.tsv").read_text().splitlines()]
    triples = [line.split("\t") for line in lines]
    records = [json.loads(line) for line in (source / "entities.jsonl").read_text().splitlines()]
    statements = [
        *(f"<x:{quote(record['id'])}> <{LABEL}> {json.dumps(record['label'])}@en ." for record in records),
        *(f"<x:{quote(head)}> <x:{quote(name)}> <x:{quote(tail)}> ." for head, name, tail in triples),
    ]
    table = ["head,relation,tail", *(f'"{head}","{name}","{tail}"' for head, name, tail in triples)]
    for file, content in (("tsv", lines), ("spo", lines), ("csv", table), ("nt", statements)):
        (folder / f"graph.{file}").write_text("\n".join([*content, ""]))
    (folder / "graph.nt.gz").write_bytes(gzip.compress((folder / "graph.nt").read_bytes()))


def look_up(store: Path) -> None:
    """Open the store and print look-ups per second, in random order."""
    start = time.perf_counter()
    graph = open_graph(store)
    opened = time.perf_counter() - start
    print(f"open: {1000 * opened:.1f} ms")
    rows, other_rows = np.random.default_rng(1).integers(0, len(graph), (2, LOOK_UPS)).tolist()
    # From a second instance of the store, so that the ids are not in the cache of the first.
    ids, others = ([open_graph(store).ids[row] for row in sample] for sample in (rows, other_rows))
    questions: list[tuple[str, Callable[[Any], object], list[Any]]] = [
        ("id → row", graph.row, ids),
        ("row → label", lambda row: graph.labels[row], rows),
        ("triples by head", graph.by_head, rows),
        ("triples by tail", graph.by_tail, rows),
        ("aliases", graph.aliases, rows),
        ("ids → rows, in one call", graph.rows, [others]),
    ]
    for query, function, keys in questions:
        start = time.process_time()
        for key in keys:
            function(key)
        seconds = time.process_time() - start
        print(f"{query}: {LOOK_UPS / seconds:,.0f} a second ({1e6 * seconds / LOOK_UPS:.1f} µs each)")


def compare_formats(source: Path, folder: Path) -> None:
    run("write_formats", source, folder)
    for name, format in FORMATTED.items():
        print(f"{name} ({(folder / name).stat().st_size / 1e6:.0f} MB)", flush=True)
        run("build", format, folder / name, folder / f"store-{name}")


def run(*step: str | Path) -> None:
    """A step in a separate process, so that its peak memory is measured apart."""
    subprocess.run([sys.executable, "-m", "tests.benchmarks.graph", *map(str, step)], check=True)


def main(kind: str, entities: int, triples: int, folder: Path) -> None:
    store, triples_file = folder / "store", folder / "triples.tsv"
    if kind == "synthetic":
        write_triples(triples_file, entities, triples)
        run("build", "native", triples_file, store)
    else:
        run("build", "geonames", "geonames", store)
    run("look_up", store)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["build", format, source, store]:
            build(format, Path(source), Path(store))
        case ["write_formats", source, folder]:
            write_formats(Path(source), Path(folder))
        case ["look_up", store]:
            look_up(Path(store))
        case [("geonames" | "synthetic") as kind, *sizes]:
            entities, triples = (int(size) for size in sizes or ("5000000", "20000000"))
            with tempfile.TemporaryDirectory() as scratch:
                main(kind, entities, triples, Path(scratch))
        case ["formats"]:
            with tempfile.TemporaryDirectory() as scratch:
                compare_formats(Path(os.environ["KEPIPE_DATA"]) / "kg/fb15k-237", Path(scratch))
        case _:
            sys.exit(__doc__)
