"""Common column names of head, relation and tail: those of Neo4j, Gephi, Cytoscape, KGX, CSKG, PrimeKG, SNOMED, …

Case, spaces and underscores are ignored, as are Neo4j's id spaces in brackets.
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
"""Column names of heads, most likely first."""
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
"""Column names of relations, most likely first."""
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
"""Column names of tails, most likely first."""
_KNOWN = (_HEADS, _RELATIONS, _TAILS)
_INDEX = re.compile(r"|unnamed:_\d+|index")
_LABEL_ENDINGS = ("label", "_label", " label", ";label", "_name", " name", "name", ".label")
_DIRECTIONS = {"directed", "undirected", "mutual", ""}
"""Values of Gephi's column `Type`."""


class Columns(NamedTuple):
    """Column indices of the ids and labels of head, relation and tail. Without a column of labels, the index of a label
    is that of the id.

    `known`: the columns were recognised by name; otherwise they are the first three.
    """

    ids: tuple[int, int, int]
    labels: tuple[int, int, int]
    known: bool


def find_columns(header: Sequence[str], wanted: Sequence[str] | None) -> Columns:
    """Find the columns of a table by its header. Raises ValueError that lists the columns if one is missing."""
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
    """Column indices of head, relation and tail if their names identify all three, or two of a table of three;
    otherwise none."""
    names = [_plain(name) for name in header]
    places: list[int | None] = []
    for known in _KNOWN:
        indices = (names.index(name) for name in known if name in names)
        places.append(next((place for place in indices if place not in places), None))
    used = [at for at in range(len(names)) if not _is_index(header, at)]
    if places.count(None) == 1 and places[1] is None and len(used) == 3:
        places[1] = next(at for at in used if at not in places)
    return [] if None in places else [place for place in places if place is not None]


def is_direction(value: str) -> bool:
    """Whether a value is the direction of an edge, as in Gephi's column `Type`, rather than a relation."""
    return value.strip().lower() in _DIRECTIONS


def _with_labels(names: Sequence[str], ids: Sequence[int], known: bool) -> Columns:
    labels = [_label(names, place) for place in ids]
    return Columns((ids[0], ids[1], ids[2]), (labels[0], labels[1], labels[2]), known)


def _label(names: Sequence[str], place: int) -> int:
    """Column index of the labels of a column's ids: `itemLabel` beside `item`, `x_name` beside `x_id`."""
    lower = [name.lower() for name in names]
    name = lower[place]
    stems = [name, *([name.removesuffix("_id")] if name.endswith("_id") else [])]
    beside = (stem + ending for stem in stems for ending in _LABEL_ENDINGS)
    return next((lower.index(one) for one in beside if one in lower and lower.index(one) != place), place)


def _plain(name: str) -> str:
    return re.sub(r"\(.*\)", "", name.strip().lower()).replace(" ", "_")


def _is_index(header: Sequence[str], place: int) -> bool:
    """Whether a column is an index written by pandas."""
    return place == 0 and _INDEX.fullmatch(_plain(header[place])) is not None
