"""Linking with a million aliases, words a second on one core: `python -m tests.benchmarks.linking [ALIASES] [WORDS]`.

Names of one to three invented words, entities in a ring of facts; text of which every tenth word begins a name. Raw
text → linked documents, read by rules. Aims: 100,000 words/s, built in under 20 s, under 1 GiB.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from kepipe.linking.linker import Linker
from kepipe.linking.reading import make_reader
from kg.schema import Entity, Relation, Triple
from kg.store import Graph, open_graph
from kg.writer import write_graph

SYLLABLES = (
    "ka",
    "ro",
    "mi",
    "ten",
    "ul",
    "sha",
    "bor",
    "ve",
    "lin",
    "dra",
    "os",
    "pe",
    "gam",
    "zu",
    "ny",
    "fel",
)


def word(rng: np.random.Generator) -> str:
    """A word of two to four syllables."""
    return "".join(SYLLABLES[place] for place in rng.integers(0, len(SYLLABLES), rng.integers(2, 5)).tolist())


def make_graph(folder: Path, aliases: int, rng: np.random.Generator) -> Graph:
    """Half as many entities as names, each with a label and an alias."""
    words = sorted({word(rng).capitalize() for _ in range(40_000)})
    picked = rng.integers(0, len(words), (aliases, 3))
    lengths = rng.integers(1, 4, aliases)
    names = [
        " ".join(words[place] for place in row[:length])
        for row, length in zip(picked.tolist(), lengths.tolist(), strict=True)
    ]
    half = aliases // 2
    entities = [
        Entity(f"E{row}", names[row], (names[half + row],), "", (), float(row % 97)) for row in range(half)
    ]
    facts = [Triple(f"E{row}", "next", f"E{(row * 7 + 1) % half}") for row in range(half)]
    return write_graph(folder, entities, [Relation("next", "next")], {"train": facts})


def make_texts(graph: Graph, words: int, rng: np.random.Generator) -> list[str]:
    """Documents of 400 words in sentences of 20."""
    filler = [word(rng) for _ in range(5_000)]
    texts = []
    for _ in range(words // 400):
        places = rng.integers(0, len(filler), 360).tolist()
        labels = [graph.labels[row] for row in rng.integers(0, len(graph), 40).tolist()]
        parts = [filler[place] for place in places]
        for number, label in enumerate(labels):
            parts[number * 9] = label
        texts.append(". ".join(" ".join(parts[start : start + 18]) for start in range(0, 360, 18)) + ".")
    return texts


def main(aliases: int = 1_000_000, words: int = 200_000) -> None:
    """Print build time, rate and peak memory of the process that links."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        store, made = Path(folder, "graph"), Path(folder, "linker")
        graph = make_graph(store, aliases, rng)
        texts = make_texts(graph, words, rng)
        started = time.perf_counter()
        Linker.build(open_graph(store)).save(made)
        print(f"build and save: {time.perf_counter() - started:.1f} s")
        started = time.perf_counter()
        linker = Linker.open(made)
        linker.gazetteer.find("warm up")
        print(f"open: {time.perf_counter() - started:.1f} s")
        reader = make_reader("en", None)
        count = sum(len(text.split()) for text in texts)
        started = time.process_time()  # of this core alone, whatever else the machine does
        mentions = sum(
            len(linker.link(text, reading)) for text, reading in zip(texts, reader.read(texts), strict=True)
        )
        seconds = time.process_time() - started
        print(f"{aliases:,} aliases: {count:,} words, {mentions:,} mentions, {count / seconds:,.0f} words/s")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(f"peak memory of this process, the making of the graph included: {peak:.2f} GiB")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
