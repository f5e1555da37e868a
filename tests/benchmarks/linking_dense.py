"""What a dense view adds to the linker over gold sets of many kinds: `KEPIPE_DATA=… python -m
tests.benchmarks.linking_dense [FOLDER]`; graphs and views are kept in FOLDER, if given.

F1 without a view (as `linking_kinds` prints it), and with views whose weight of contexts is 0, 1 … The weight is chosen
with one kind left out in turn: that with the largest mean plus worst gain over the others. Views: `aligned`, token
vectors trained on the graph; `untrained`, the token embeddings of MiniLM as they are. The diseases of NCBI's `dev`
part are no kind to choose by: they are scored once, with the chosen weight. Milliseconds are processor time per 1,000
words, annotation not included. Chinese is left out, since MiniLM is English.

Then synonyms of the disease ontology that strings do not find: 800 are taken out of the graph at once, and the entity
with the nearest of the remaining names is looked up, by letters (rapidfuzz's ratio), by both views, and by MiniLM as a
whole. Last, the time of an exact search among many names.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np

from kepipe.arrays import Floats, Ints
from kepipe.data.nearest import by_vectors
from kepipe.inference.dense_view import build_dense_view
from kepipe.inference.text_vectors import open_text_vectors
from kepipe.linking import linker as linking
from kepipe.linking.kb.dense import DenseView
from kepipe.linking.linker import CONTEXT_WEIGHT, Linker
from kepipe.linking.text.annotations import Annotations
from kepipe.linking.text.casing import Casing, count_spellings
from kepipe.models.pretrained import locate
from kg.schema import Triple
from kg.store import Graph, open_graph
from kg.surface import fold, normalise
from kg.writer import write_graph
from tests.benchmarks.linking_kinds import link_all, read_texts, score
from tests.benchmarks.linking_sets import SETS, GoldSet, diseases, read_set, stored_graph

WEIGHTS = (0.0, 1.0, 2.0, 4.0)
STEPS = {"untrained": 0, "aligned": 1000}
NOT_COUNTED = "oke"
"""The same texts as `oke, names`; it is printed, but does not count in means."""
HELD_OUT = 800
"""Synonyms that are taken out of the ontology."""


def view_of(kind: str, name: str, graph: Graph, folder: Path) -> DenseView:
    """A view of a graph, made once."""
    place = folder / f"{kind}-{name.replace(' ', '-')}"
    if not (place / "dense.json").exists():
        start = time.process_time()
        place.mkdir(exist_ok=True)
        build_dense_view(Linker.build(graph), graph, locate("minilm"), STEPS[kind]).save(place)
        print(f"{kind} view of {name}: {time.process_time() - start:.0f} s", flush=True)
    return DenseView.open(place)


def annotated_linker(gold: GoldSet, graph: Graph) -> tuple[Linker, Sequence[Annotations]]:
    """A linker with general weights, and what NER sees in the texts."""
    written = count_spellings(text.document.text for text in gold.texts)
    return Linker.build(graph, Casing.count_with(graph.descriptions, written)), read_texts(gold)["full"]


def measure(linker: Linker, gold: GoldSet, annotations: Sequence[Annotations]) -> tuple[float, float]:
    """F1, and milliseconds per thousand words."""
    start = time.process_time()
    links = link_all(linker, gold, annotations)
    seconds = time.process_time() - start
    words = sum(len(text.document.text.split()) for text in gold.texts)
    return score(gold, links).f1, 1e6 * seconds / words


def with_weights(
    linker: Linker, gold: GoldSet, annotations: Sequence[Annotations], view: DenseView
) -> tuple[list[float], Floats]:
    """F1 without the view and with each of the weights, and milliseconds without and with it: [2]."""
    measure(linker, gold, annotations)  # fills the caches
    found = [measure(linker, gold, annotations)]
    for weight in WEIGHTS:
        with patch.object(linking, "CONTEXT_WEIGHT", weight):
            found.append(measure(replace(linker, dense=view), gold, annotations))
    milliseconds = np.asarray([each for _, each in found])
    return [f1 for f1, _ in found], np.asarray((milliseconds[0], np.median(milliseconds[1:])))


def choose(gains: Mapping[str, Sequence[float]]) -> int:
    """The index of the weight with the largest mean plus worst gain."""
    table = np.asarray(list(gains.values()))
    return int(np.argmax(table.mean(axis=0) + table.min(axis=0)))


def show(kind: str, scores: Mapping[str, list[float]], times: Sequence[Floats]) -> None:
    """Print F1 by weight, and the gain on each kind by the weight that the other kinds choose."""
    print(f"| {kind} | without |", " | ".join(f"weight {weight:g}" for weight in WEIGHTS), "|")
    for name, row in scores.items():
        print(f"| {name} |", " | ".join(f"{f1:.3f}" for f1 in row), "|", flush=True)
    gains = {name: [f1 - row[0] for f1 in row[1:]] for name, row in scores.items() if name != NOT_COUNTED}
    mean, worst = (gather(list(gains.values()), axis=0) for gather in (np.mean, np.min))
    print(f"{kind}: mean gain by weight", np.round(mean, 4), "worst", np.round(worst, 4))
    left = {
        name: row[choose({other: gains[other] for other in gains if other != name})]
        for name, row in gains.items()
    }
    print(
        f"{kind}: one kind left out: mean {np.mean(list(left.values())):+.4f}, worst {min(left.values()):+.4f};",
        f"weight by all: {WEIGHTS[choose(gains)]};",
        "linker {:.1f} ms, with the view {:.1f} ms per 1,000 words;".format(*np.mean(times, axis=0)),
        ", ".join(f"{name} {gain:+.3f}" for name, gain in left.items()),
        flush=True,
    )


def kinds(folder: Path) -> None:
    """Print the tables over kinds, and the diseases of the development part."""
    scores: dict[str, dict[str, list[float]]] = {kind: {} for kind in STEPS}
    times: dict[str, list[Floats]] = {kind: [] for kind in STEPS}
    for name in (name for name in SETS if "Chinese" not in name):
        graph = stored_graph(SETS[name][0], folder)
        gold = read_set(name, graph)
        linker, annotations = annotated_linker(gold, graph)
        for kind in STEPS:
            view = view_of(kind, SETS[name][0], graph, folder)
            scores[kind][name], milliseconds = with_weights(linker, gold, annotations, view)
            times[kind].append(milliseconds)
    for kind in STEPS:
        show(kind, scores[kind], times[kind])
    graph = stored_graph("disease ontology", folder)
    gold = GoldSet("disease ontology", diseases(graph, "dev"), complete=True, spans=True)
    linker, annotations = annotated_linker(gold, graph)
    found = [measure(linker, gold, annotations)[0]]
    for kind in STEPS:
        view = view_of(kind, "disease ontology", graph, folder)
        found.append(measure(replace(linker, dense=view), gold, annotations)[0])
    print(
        f"diseases, development part, weight {CONTEXT_WEIGHT}:",
        ", ".join(f"{who} {f1:.3f}" for who, f1 in zip(("without", *STEPS), found, strict=True)),
        flush=True,
    )


def without_synonyms(graph: Graph, folder: Path) -> tuple[Graph, list[str], Ints]:
    """The graph without some aliases, those of them that no name or variant of it equals, and their entities' rows."""
    aliases = [
        (row, alias)
        for row, label in enumerate(graph.labels)
        for alias in graph.aliases(row)
        if fold(normalise(alias)) != fold(normalise(label))
    ]
    drawn = np.random.default_rng(0).permutation(len(aliases))[:HELD_OUT]
    held = {aliases[place] for place in drawn.tolist()}
    entities = [
        replace(entity, aliases=tuple(alias for alias in entity.aliases if (row, alias) not in held))
        for row, entity in enumerate(map(graph.entity, range(len(graph))))
    ]
    triples = [
        Triple(graph.ids[head], graph.relations[relation].id, graph.ids[tail])
        for head, relation, tail in graph.triples("train").tolist()
    ]
    place = folder / "without-synonyms"
    place.mkdir(exist_ok=True)
    if not (place / "graph.json").exists():
        write_graph(place, entities, list(graph.relations), {"train": triples})
    less = open_graph(place)
    lexicon = Linker.build(less).gazetteer.lexicon
    asked = sorted((alias, row) for row, alias in held if not lexicon.candidates(alias))
    return less, [alias for alias, _ in asked], np.asarray([row for _, row in asked])


def synonyms(folder: Path) -> None:
    """Print how often the entity of a synonym is found, overall and where the cosine is at least 0.8."""
    from rapidfuzz import fuzz, process

    less, asked, rows = without_synonyms(stored_graph("disease ontology", folder), folder)
    views = {kind: view_of(kind, "without synonyms", less, folder) for kind in STEPS}
    names, owners = list(views["aligned"].names), np.asarray(views["aligned"].name_rows)
    keys = [list(map(fold, map(normalise, part))) for part in (asked, names)]
    letters = process.cdist(*keys, scorer=fuzz.ratio) / 100
    encoder = open_text_vectors(locate("minilm"), length=32)
    cosines = encoder(asked) @ encoder(names).T
    found = {
        "letters": (letters.argmax(axis=1), letters.max(axis=1)),
        **{kind: view.nearest(asked) for kind, view in views.items()},
        "MiniLM": (cosines.argmax(axis=1), cosines.max(axis=1)),
    }
    print(f"{len(asked)} synonyms that strings do not find:")
    for who, (places, similar) in found.items():
        right, sure = owners[places] == rows, similar >= 0.8
        print(
            f"{who}: {right.mean():.3f}; at 0.8: {sure.mean():.3f} of them, {right[sure].mean():.3f} right",
            flush=True,
        )


def search() -> None:
    """Print the time of an exact search of 500 spans, which a batch of texts may have, among random names."""
    rng = np.random.default_rng(0)
    spans = rng.normal(size=(500, 384)).astype(np.float32)
    for number in (13_000, 130_000, 260_000):
        names = rng.standard_normal((number, 384), np.float32).astype(np.float16)
        start = time.process_time()
        by_vectors(spans, names, 1)
        print(f"{number:,} names: {2 * (time.process_time() - start):.2f} ms per span", flush=True)


def main(folder: Path) -> None:
    """Print all."""
    synonyms(folder)
    search()
    kinds(folder)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as scratch:
            main(Path(scratch))
