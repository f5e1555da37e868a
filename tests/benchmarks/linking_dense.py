"""F1 of the linker with and without a dense view, on gold sets of many kinds: `KEPIPE_DATA=… python -m
tests.benchmarks.linking_dense [FOLDER]`; graphs and views are stored in FOLDER, if given, and reused.

F1 without a view (as printed by `linking_kinds`), and with views and different weights of contexts. The weight for a
kind is chosen on the other kinds: that with the largest sum of mean and worst gain. Views: `aligned`, token
vectors trained on the graph; `untrained`, the token embeddings of MiniLM as they are. The diseases of NCBI's `dev`
part take no part in the choice: they are scored once, with the chosen weight. Milliseconds are processor time per 1,000
words, annotation not included. Chinese is left out, since MiniLM is English.

Then synonyms of the disease ontology that string matching does not find: 800 are removed from the graph, and for each
the entity with the nearest of the remaining names is looked up, by edit distance (rapidfuzz's ratio), by both views,
and by the encoder MiniLM. Last, the time of an exact search among many names.
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
"""The same texts as `oke, names`: printed, but excluded from means."""
HELD_OUT = 800
"""Synonyms that are removed from the ontology."""


def view_of(kind: str, name: str, graph: Graph, folder: Path) -> DenseView:
    """A view of a graph, built unless it is in `folder`."""
    view_folder = folder / f"{kind}-{name.replace(' ', '-')}"
    if not (view_folder / "dense.json").exists():
        start = time.process_time()
        view_folder.mkdir(exist_ok=True)
        build_dense_view(Linker.build(graph), graph, locate("minilm"), STEPS[kind]).save(view_folder)
        print(f"{kind} view of {name}: {time.process_time() - start:.0f} s", flush=True)
    return DenseView.open(view_folder)


def annotated_linker(gold: GoldSet, graph: Graph) -> tuple[Linker, Sequence[Annotations]]:
    """A linker with general weights, and the annotations of the texts with NER."""
    written = count_spellings(text.document.text for text in gold.texts)
    return Linker.build(graph, Casing.count_with(graph.descriptions, written)), read_texts(gold)["full"]


def measure(linker: Linker, gold: GoldSet, annotations: Sequence[Annotations]) -> tuple[float, float]:
    """F1, and milliseconds per 1,000 words."""
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
    measured = [measure(linker, gold, annotations)]
    for weight in WEIGHTS:
        with patch.object(linking, "CONTEXT_WEIGHT", weight):
            measured.append(measure(replace(linker, dense=view), gold, annotations))
    milliseconds = np.asarray([duration for _, duration in measured])
    return [f1 for f1, _ in measured], np.asarray((milliseconds[0], np.median(milliseconds[1:])))


def choose(gains: Mapping[str, Sequence[float]]) -> int:
    """The index of the weight with the largest mean plus worst gain."""
    table = np.asarray(list(gains.values()))
    return int(np.argmax(table.mean(axis=0) + table.min(axis=0)))


def show(kind: str, scores: Mapping[str, list[float]], times: Sequence[Floats]) -> None:
    """Print F1 by weight, and the gain on each kind with the weight chosen on the other kinds."""
    print(f"| {kind} | without |", " | ".join(f"weight {weight:g}" for weight in WEIGHTS), "|")
    for name, row in scores.items():
        print(f"| {name} |", " | ".join(f"{f1:.3f}" for f1 in row), "|", flush=True)
    gains = {name: [f1 - row[0] for f1 in row[1:]] for name, row in scores.items() if name != NOT_COUNTED}
    mean, worst = (function(list(gains.values()), axis=0) for function in (np.mean, np.min))
    print(f"{kind}: mean gain by weight", np.round(mean, 4), "worst", np.round(worst, 4))
    held_out_gains = {
        name: row[choose({other: gains[other] for other in gains if other != name})]
        for name, row in gains.items()
    }
    print(
        f"{kind}: weight chosen on the other kinds: mean gain {np.mean(list(held_out_gains.values())):+.4f}, "
        f"worst {min(held_out_gains.values()):+.4f};",
        f"weight chosen on all kinds: {WEIGHTS[choose(gains)]};",
        "linker {:.1f} ms, with the view {:.1f} ms per 1,000 words;".format(*np.mean(times, axis=0)),
        ", ".join(f"{name} {gain:+.3f}" for name, gain in held_out_gains.items()),
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
    f1_scores = [measure(linker, gold, annotations)[0]]
    for kind in STEPS:
        view = view_of(kind, "disease ontology", graph, folder)
        f1_scores.append(measure(replace(linker, dense=view), gold, annotations)[0])
    print(
        f"diseases, development part, weight {CONTEXT_WEIGHT}:",
        ", ".join(f"{name} {f1:.3f}" for name, f1 in zip(("without", *STEPS), f1_scores, strict=True)),
        flush=True,
    )


def without_synonyms(graph: Graph, folder: Path) -> tuple[Graph, list[str], Ints]:
    """The graph without some aliases, those of them that match no remaining name, and the rows of their entities."""
    aliases = [
        (row, alias)
        for row, label in enumerate(graph.labels)
        for alias in graph.aliases(row)
        if fold(normalise(alias)) != fold(normalise(label))
    ]
    sample = np.random.default_rng(0).permutation(len(aliases))[:HELD_OUT]
    removed = {aliases[position] for position in sample.tolist()}
    entities = [
        replace(entity, aliases=tuple(alias for alias in entity.aliases if (row, alias) not in removed))
        for row, entity in enumerate(map(graph.entity, range(len(graph))))
    ]
    triples = [
        Triple(graph.ids[head], graph.relations[relation].id, graph.ids[tail])
        for head, relation, tail in graph.triples("train").tolist()
    ]
    graph_folder = folder / "without-synonyms"
    graph_folder.mkdir(exist_ok=True)
    if not (graph_folder / "graph.json").exists():
        write_graph(graph_folder, entities, list(graph.relations), {"train": triples})
    smaller = open_graph(graph_folder)
    lexicon = Linker.build(smaller).gazetteer.lexicon
    queries = sorted((alias, row) for row, alias in removed if not lexicon.candidates(alias))
    return smaller, [alias for alias, _ in queries], np.asarray([row for _, row in queries])


def synonyms(folder: Path) -> None:
    """Print how often the entity of a synonym is found, overall and if the similarity is at least 0.8."""
    from rapidfuzz import fuzz, process

    smaller, queries, rows = without_synonyms(stored_graph("disease ontology", folder), folder)
    views = {kind: view_of(kind, "without synonyms", smaller, folder) for kind in STEPS}
    names, name_entities = list(views["aligned"].names), np.asarray(views["aligned"].name_rows)
    keys = [list(map(fold, map(normalise, texts))) for texts in (queries, names)]
    letters = process.cdist(*keys, scorer=fuzz.ratio) / 100
    encoder = open_text_vectors(locate("minilm"), length=32)
    cosines = encoder(queries) @ encoder(names).T
    nearest = {
        "edit distance": (letters.argmax(axis=1), letters.max(axis=1)),
        **{kind: view.nearest(queries) for kind, view in views.items()},
        "MiniLM": (cosines.argmax(axis=1), cosines.max(axis=1)),
    }
    print(f"{len(queries)} synonyms that string matching does not find:")
    for method, (name_numbers, similarities) in nearest.items():
        is_right, is_similar = name_entities[name_numbers] == rows, similarities >= 0.8
        print(
            f"{method}: {is_right.mean():.3f} right; at a similarity of 0.8 and more: {is_similar.mean():.3f} of them, "
            f"{is_right[is_similar].mean():.3f} right",
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
    """Print all measurements."""
    synonyms(folder)
    search()
    kinds(folder)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as scratch:
            main(Path(scratch))
