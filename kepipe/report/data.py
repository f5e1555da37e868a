"""The parts of a report that show the graph, its vectors, the text, and the links."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kepipe.data.document_files import read_documents
from kepipe.data.shards import open_shard
from kepipe.report import charts
from kepipe.report.page import Block, Figure, Section, Table, Text
from kepipe.report.sentences import choose, draw
from kepipe.report.wording import plain
from kg.store import Graph, open_graph

LINKING = ("precision", "recall", "f1")
LINK_PREDICTION = ("mrr", "hits@1", "hits@3", "hits@10")


def linking(linked: Path, graph: Path, held_out: set[str]) -> Section:
    """Linking scores against the baseline, and a few linked sentences of held-out documents."""
    store = open_graph(graph)
    blocks: list[Block] = []
    rows = dict(scored(_read(linked / "scores.json"), "f1"))
    if rows:
        shown = {name: scores["f1"] for name, scores in rows.items()}
        blocks.append(
            Figure(charts.bars(shown, "F1, higher is better"), "Links compared with the annotated ones.")
        )
        blocks.append(_table(rows, LINKING))
    documents = [d for d in read_documents(linked / "documents.jsonl") if d.id in held_out]
    passages = choose(documents)
    if passages:
        blocks.append(Text("Linked sentences of held-out documents:"))
        blocks.append(Text(draw(passages, store), kind="html"))
    return Section("linking", "Linking", tuple(blocks))


def vectors(folder: Path) -> Section | None:
    """Link prediction with the graph's vectors, and baselines without them."""
    scores: Mapping[str, Any] = _read(folder / "scores.json")
    rows = dict(scored(scores, "mrr"))
    if not rows:
        return None
    names = {
        "valid": "vectors, validation",
        "test": "vectors, test",
        "popularity": "by popularity",
        "random": "at random",
    }
    rows = {names.get(name, name): scores for name, scores in rows.items()}
    shown = {name: scores["mrr"] for name, scores in rows.items() if name != names["valid"]}
    return Section(
        "vectors",
        "Entity vectors",
        (
            Text(
                "The missing end of each held-out triple is ranked among all entities, except other known "
                "answers. “By popularity” ranks entities by how often they are the head or tail of the relation."
            ),
            Figure(
                charts.bars(shown, "filtered MRR, higher is better"), "Link prediction on held-out triples."
            ),
            _table(rows, LINK_PREDICTION),
        ),
    )


def data(graph: Path, corpus: Path, shards: Path) -> Section:
    """Sizes of graph, text and shards."""
    store = open_graph(graph)
    counts = {
        f"graph: {f'triples, {name}' if name in store.splits else name}": number
        for name, number in store.describe().items()
    }
    counted: Mapping[str, Any] = _read(corpus / "corpus.json")
    counts |= {f"text: {name.replace('_', ' ')}": n for name, n in counted.items() if isinstance(n, int)}
    train, held_out = (open_shard(shards / split) for split in ("train", "held_out"))
    counts |= {"shards: training tokens": len(train), "shards: held-out tokens": len(held_out)}
    counts["shards: entities mentioned"] = (shards / "entities.txt").read_text(encoding="utf-8").count("\n")
    bad = (counted.get("bad_lines") or {}).get("count", 0)
    blocks: list[Block] = [
        Table(
            ("", "Number"),
            tuple((name, f"{number:,}") for name, number in counts.items()),
            numbers=(1,),
            beside=True,
        ),
    ]
    types = _types(store)
    if types:
        blocks.insert(
            0, Figure(charts.bars(types, "entities"), "The most frequent types of entities in the graph.")
        )
    if bad:
        blocks.append(Text(f"{bad:,} lines of the text could not be read and were skipped.", quiet=True))
    return Section("data", "Graph and text", tuple(blocks))


def scored(scores: Any, metric: str, at: str = "") -> Iterator[tuple[str, dict[str, float]]]:
    """All groups of scores with `metric`, at any depth, with their names."""
    if not isinstance(scores, Mapping):
        return
    if isinstance(scores.get(metric), int | float):
        yield at, {name: value for name, value in scores.items() if isinstance(value, int | float)}
    for name, inner in scores.items():
        yield from scored(
            inner, metric, ", ".join(part for part in (at, str(name).replace("_", " ")) if part)
        )


def _types(graph: Graph, most: int = 8) -> dict[str, float]:
    sizes = {type: float(len(graph.rows_of_type(type))) for type in graph.type_names}
    return dict(sorted(sizes.items(), key=lambda entry: -entry[1])[:most])


def _table(rows: Mapping[str, Mapping[str, float]], metrics: tuple[str, ...]) -> Table:
    columns = tuple(metric for metric in metrics if any(metric in scores for scores in rows.values()))
    body = tuple(
        (name, *(plain(scores[metric]) if metric in scores else "–" for metric in columns))
        for name, scores in rows.items()
    )
    return Table(("", *columns), body, numbers=tuple(range(1, len(columns) + 1)), beside=True)


def _read(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
