"""Examples of ambiguous names without labels: a certain full name is replaced by a short form of the same entity.

"Ada Lovelace" becomes "Lovelace" throughout its text, "New York City" becomes "Gotham", if the graph has that alias for
several entities. What is meant is known; the annotations are those of the full name, moved.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from kepipe.arrays import Ints
from kepipe.data.document import Span
from kepipe.linking.kb.kinds import KINDS
from kepipe.linking.linker import Linker
from kepipe.linking.text.annotations import Annotations, Name
from kepipe.linking.training.examples import (
    IGNORED,
    NEGATIVE,
    POSITIVE,
    TrainingExample,
    training_example,
)
from kg.store import Graph

MOST = 3
"""Entities of a text that are hidden, one after the other."""
MIN_LENGTH = 3
_PERSON = KINDS.index("person")
Places = Sequence[tuple[int, int]]


def moved(annotation: Annotations, spans: Places, length: int) -> tuple[Annotations, list[tuple[int, int]]]:
    """Annotations and spans after each of the `spans` got this `length`."""
    starts, ends = np.asarray(spans).T
    growth = np.cumsum(length - (ends - starts))
    new_ends = ends + growth

    def at(offset: int) -> int:
        done = int(np.searchsorted(ends, offset, "right"))
        place = offset + (int(growth[done - 1]) if done else 0)
        inside = done < len(starts) and starts[done] < offset
        return min(place, int(new_ends[done])) if inside else place

    def all_of(written: Sequence[tuple[int, ...]], make: type) -> tuple:
        kept = ((at(each[0]), at(each[1]), *each[2:]) for each in written)
        return tuple(make(*each) for each in kept if each[0] < each[1])

    proper, names = annotation.proper, annotation.names
    return Annotations(
        all_of(annotation.sentences, Span),
        all_of(annotation.phrases, Span),
        None if proper is None else all_of(proper, Span),
        None if names is None else all_of(names, Name),
    ), [(end - length, end) for end in new_ends.tolist()]


def short_form(linker: Linker, graph: Graph, row: int, written: set[str], draw: np.random.Generator) -> str:
    """A person's last name, or of another entity an alias that several entities have; "" if there is none."""
    if linker.knowledge.kinds[row] == _PERSON:
        last = max(written, key=len).rpartition(" ")
        return last[2] if last[0] and len(last[2]) >= MIN_LENGTH else ""
    names = [
        name
        for name in (graph.labels[row], *graph.aliases(row))
        if name not in written
        and len(name) >= MIN_LENGTH
        and name[0].isupper()
        and len(linker.gazetteer.lexicon.candidates(name)) > 1
    ]
    return names[int(draw.integers(len(names)))] if names else ""


def hidden_names(
    linker: Linker, graph: Graph, text: str, annotation: Annotations, certain: dict[int, Places], seed: int
) -> Iterator[tuple[TrainingExample, Ints]]:
    """Examples of a text and the labels of their candidates; `certain`: the places of certain names by entity."""
    draw, done = np.random.default_rng(seed), 0
    for row in draw.permutation(np.asarray(sorted(certain), np.int64)).tolist():
        spans = certain[row]
        new = short_form(linker, graph, row, {text[start:end] for start, end in spans}, draw)
        if not new or done == MOST:
            continue
        done += 1
        parts = [
            text[end:start]
            for (_, end), (start, _) in zip([(0, 0), *spans], [*spans, (len(text), 0)], strict=True)
        ]
        after, places = moved(annotation, spans, len(new))
        example = training_example(linker, new.join(parts), after, ())
        labels = np.full(len(example.features), IGNORED)
        matches = example.matches
        starts, ends = matches.starts[matches.owners], matches.ends[matches.owners]
        for start, end in places:
            touches = (starts < end) & (ends > start) & example.allowed
            labels[touches & (matches.rows != row)] = NEGATIVE
            labels[touches & (starts == start) & (ends == end) & (matches.rows == row)] = POSITIVE
        yield example, labels
