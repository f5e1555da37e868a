"""Names of columns under which tables have head, relation and tail: Neo4j's, Gephi's, Cytoscape's, KGX's, CSKG's,
PrimeKG's, SNOMED's, …

Capitals, blanks and underscores make no difference, nor does Neo4j's id space in brackets.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

_HEADS = [
    "head",
    "subject",
    "subject_id",
    ":start_id",
    "start_id",
    "_start",
    "start",
    "node1",
    "source",
    "source_id",
    "src",
    "sourceid",
    "head_id",
    "h",
    "from",
    "from_id",
    "x_id",
    "item",
    "s",
    "arg1",
    "entity1",
    "e1",
    "source_node",
    "sub",
    "subj",
]
"""The names of each, the likeliest first."""
_RELATIONS = [
    "relation",
    "predicate",
    "predicate_id",
    ":type",
    "_type",
    "relation_id",
    "property",
    "rel",
    "r",
    "typeid",
    "relationship",
    "relationship_type",
    "relation_type",
    "shared_interaction",
    "interaction",
    "edge_type",
    "edge_label",
    "edgelabel",
    "display_relation",
    "p",
    "pred",
    "prop",
    "label",
    "edge",
    "type",
]
"""The names of each, the likeliest first."""
_TAILS = [
    "tail",
    "object",
    "object_id",
    ":end_id",
    "end_id",
    "_end",
    "end",
    "node2",
    "target",
    "target_id",
    "dst",
    "destinationid",
    "tail_id",
    "t",
    "to",
    "to_id",
    "y_id",
    "value",
    "o",
    "arg2",
    "entity2",
    "e2",
    "target_node",
    "obj",
    "destination",
]
"""The names of each, the likeliest first."""
_KNOWN = (_HEADS, _RELATIONS, _TAILS)
_INDEX = re.compile(r"|unnamed:_\d+|index")
_LABEL_ENDINGS = ("label", "_label", " label", ";label", "_name", " name", "name", ".label")
_DIRECTIONS = {"directed", "undirected", "mutual", ""}
"""What Gephi has in the column `Type`."""


class Columns(NamedTuple):
    """Where the ids of head, relation and tail stand, and their labels: the id's place again where there are none.

    `known`: by names that say it; else they are the first three.
    """

    ids: tuple[int, int, int]
    labels: tuple[int, int, int]
    known: bool


def find_columns(header: Sequence[str], wanted: Sequence[str] | None) -> Columns:
    """The columns of a header. Raises ValueError that lists what the header has."""
    names = [name.strip() for name in header]
    if wanted is None and len(names) < 3:
        raise ValueError(f"expected a header of at least 3 columns, found {names}")
    missing = [name for name in wanted or () if name not in names]
    if missing:
        raise ValueError(f"no column {missing[0]!r}; the header has {', '.join(names)}")
    if wanted is not None:
        places = [names.index(name) for name in wanted]
        return _with_labels(names, places, True)
    places = known_places(names)
    if len(places) == 3:
        return _with_labels(names, places, True)
    of_labels = {place for at in range(len(names)) if (place := _label(names, at)) != at}
    first = [at for at in range(len(names)) if at not in of_labels and not _is_index(names, at)]
    if len(first) < 3:
        first = list(range(len(names)))
    return _with_labels(names, first[:3], False)


def known_places(header: Sequence[str]) -> list[int]:
    """The places of head, relation and tail, where names say all three, or two of a table of three; else none."""
    names = [_plain(name) for name in header]
    places: list[int | None] = []
    for known in _KNOWN:
        there = (names.index(name) for name in known if name in names)
        places.append(next((place for place in there if place not in places), None))
    used = [at for at in range(len(names)) if not _is_index(header, at)]
    if places.count(None) == 1 and places[1] is None and len(used) == 3:
        places[1] = next(at for at in used if at not in places)
    return [] if None in places else [place for place in places if place is not None]


def is_direction(value: str) -> bool:
    """Whether a value says the direction of an edge, as Gephi's `Type` does, and no relation."""
    return value.strip().lower() in _DIRECTIONS


def _with_labels(names: Sequence[str], ids: Sequence[int], known: bool) -> Columns:
    labels = [_label(names, place) for place in ids]
    return Columns((ids[0], ids[1], ids[2]), (labels[0], labels[1], labels[2]), known)


def _label(names: Sequence[str], place: int) -> int:
    """Where the label of a column's ids stands: `itemLabel` beside `item`, `x_name` beside `x_id`."""
    lower = [name.lower() for name in names]
    name = lower[place]
    stems = [name, *([name.removesuffix("_id")] if name.endswith("_id") else [])]
    beside = (stem + ending for stem in stems for ending in _LABEL_ENDINGS)
    return next((lower.index(one) for one in beside if one in lower and lower.index(one) != place), place)


def _plain(name: str) -> str:
    return re.sub(r"\(.*\)", "", name.strip().lower()).replace(" ", "_")


def _is_index(header: Sequence[str], place: int) -> bool:
    """Whether a column is what pandas writes of its index."""
    return place == 0 and _INDEX.fullmatch(_plain(header[place])) is not None
