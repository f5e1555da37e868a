"""Validation of a stored graph: integrity and quality, as findings with examples."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from kg.arrays import Ints
from kg.store import Graph, Triples
from kg.writer import digest_columns

EXAMPLES = 3
LONG_NAME = 100
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

_DIRECTION = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Direction marks of right-to-left text, which names in texts mostly lack."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something found `count` times: an "error" makes the graph unusable, a "warning" does not."""

    level: Literal["error", "warning"]
    what: str
    count: int
    examples: tuple[str, ...] = ()

    def __str__(self) -> str:
        shown = f" (for example {', '.join(self.examples)})" if self.examples else ""
        return f"{self.level}: {self.what}: {self.count:,}{shown}"


def validate(graph: Graph) -> list[Finding]:
    """The findings for a graph, errors first. If the columns are damaged, nothing else is checked."""
    damage = list(_damage(graph))
    if damage:
        return damage
    return [finding for check in (_entities, _names, _facts, _divisions) for finding in check(graph)]


def _damage(graph: Graph) -> Iterator[Finding]:
    try:
        digest = digest_columns(graph.folder)
    except OSError as error:
        yield Finding("error", f"a file cannot be read ({error})", 1)
        return
    if digest != graph.digest:
        yield Finding("error", "the files differ from the digest in graph.json; import the graph again", 1)


def _entities(graph: Graph) -> Iterator[Finding]:
    def ids(rows: Ints) -> tuple[str, ...]:
        return tuple(repr(graph.ids[row]) for row in rows[:EXAMPLES].tolist())

    alone = np.flatnonzero(graph.degrees == 0)
    yield from _found("entities without a triple", len(alone), ids(alone))
    # Hashes instead of texts: 8 bytes per id.
    hashes = np.fromiter((hash(id.lower()) for id in graph.ids), np.int64, len(graph))
    order = np.argsort(hashes, kind="stable")
    again = np.sort(order[1:][hashes[order[1:]] == hashes[order[:-1]]])
    yield from _found("ids that differ from another in case alone", len(again), ids(again))
    if not len(graph.triples("train")):
        yield Finding("error", "no triples to train on", 1)


def _names(graph: Graph) -> Iterator[Finding]:
    """One pass over labels and aliases."""
    checks: dict[str, Callable[[str], bool]] = {
        "empty names": lambda name: not name.strip(),
        "names with blanks at their ends": lambda name: name.strip() not in ("", name),
        f"names longer than {LONG_NAME} characters": lambda name: len(name) > LONG_NAME,
        "names with control characters": lambda name: _CONTROL.search(name) is not None,
        "names with invisible marks of direction": lambda name: _DIRECTION.search(name) is not None,
        "names with the mark of a wrong encoding (\N{REPLACEMENT CHARACTER})": lambda name: "\ufffd" in name,
    }
    counts = dict.fromkeys(checks, 0)
    examples: dict[str, list[str]] = {what: [] for what in checks}
    for names in (graph.labels, graph.alias_strings):
        for name in names:
            # Most names pass all checks at once.
            if (
                name
                and name == name.strip()
                and len(name) <= LONG_NAME
                and name.isprintable()
                and "\ufffd" not in name
            ):
                continue
            for what, is_bad in checks.items():
                if is_bad(name):
                    counts[what] += 1
                    if len(examples[what]) < EXAMPLES:
                        examples[what].append(repr(name[:40]))
    for what, count in counts.items():
        yield from _found(what, count, tuple(examples[what]))
    same = [id for id, label in zip(graph.ids, graph.labels, strict=True) if id == label]
    if len(same) < len(graph):  # if all are equal (.spo), ids are the names
        yield from _found(
            "entities without a name, called by their id", len(same), tuple(map(repr, same[:EXAMPLES]))
        )


def _facts(graph: Graph) -> Iterator[Finding]:
    counts = np.zeros(len(graph.relations), np.int64)
    loops = 0
    for split in graph.splits:
        triples = graph.triples(split)
        counts += np.bincount(triples[:, 1], minlength=len(counts))
        loops += int((triples[:, 0] == triples[:, 2]).sum())
    for what, rows in (("relations without a triple", counts == 0), ("relations of one triple", counts == 1)):
        names = [repr(graph.relation(row).label) for row in np.flatnonzero(rows)[:EXAMPLES].tolist()]
        yield from _found(what, int(rows.sum()), tuple(names))
    yield from _found("triples of an entity with itself", loops)


def _divisions(graph: Graph) -> Iterator[Finding]:
    """Leaks and unknown entities that invalidate scores on held-out triples (Toutanova & Chen 2015, section 2)."""
    train = graph.triples("train")
    pairs = np.unique(_pair(train, len(graph)))
    entities, relations = np.unique(train[:, [0, 2]]), np.unique(train[:, 1])
    for split in graph.splits[1:]:
        held_out = graph.triples(split)
        leaked = np.isin(_pair(held_out, len(graph)), pairs)
        yield from _found(f"{split} triples whose two entities are also tied in train", int(leaked.sum()))
        known = np.isin(held_out[:, [0, 2]], entities).all(axis=1) & np.isin(held_out[:, 1], relations)
        yield from _found(f"{split} triples with an entity or relation that train lacks", int((~known).sum()))


def _pair(triples: Triples, entities: int) -> Ints:
    """The unordered pair of entities of each triple as one number."""
    low, high = np.sort(triples[:, [0, 2]].astype(np.int64), axis=1).T
    return np.asarray(low * entities + high)


def _found(what: str, count: int, examples: tuple[str, ...] = ()) -> Iterator[Finding]:
    if count:
        yield Finding("warning", what, count, examples)
