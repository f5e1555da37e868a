"""GraphML files, and networkx graphs in memory.

Keys of a node: `label` or `name` (or `title`, `shared name`), `aliases`, `description`, `types`, `type` or Neo4j's
`labels`, `prior`. Keys of an edge: `relation`, `label`, `predicate`, `type`, Gephi's `Edge Label` or Cytoscape's
`interaction`, and `split` ("train", "valid", "test"; "validation" and "dev" mean "valid"). Key of the graph:
`relations`, pairs of id and label, which preserves the order of relations and those without edges. Lists are Python
lists, or strings with a JSON list, because GraphML has no lists. A graph written by `kg.networkx_graph` is read back
unchanged.
"""

from __future__ import annotations

import io
import math
import re
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

from kg.problems import Problems
from kg.regular_files import JsonError, parse_json
from kg.schema import Entity, Relation
from kg.sources.account import Account
from kg.sources.reading import DAMAGE, Choices, Tick, TriplesById, one_line, open_bytes
from kg.writer import SPLITS, GraphWriter

NO_RELATION = "related to"
_SPLITS = {split: split for split in SPLITS} | {"": "train", "validation": "valid", "dev": "valid"}
_GRAPH = re.compile(rb"<(?:[\w.-]+:)?graph[\s>]")
_GROUP = re.compile(rb"yfiles\.foldertype\s*=\s*[\"']group[\"']")
"""A group node of yEd, whose nested graph is read as part of the enclosing one."""
_RELATION_KEYS = (
    "relation",
    "label",
    "predicate",
    "type",
    "Edge Label",
    "interaction",
    "shared interaction",
    "EdgeLabel",
)
_NAME_KEYS = ("label", "name", "title", "shared name", "NodeLabel")
_TYPE_KEYS = ("types", "type", "labels")
_NODE_KEYS = {*_NAME_KEYS, *_TYPE_KEYS, "aliases", "description", "prior"}


def read_graphml(
    file: Path, writer: GraphWriter, problems: Problems, tick: Tick, _choices: Choices
) -> Account:
    """Read `file`, compressed or not, into `writer`. Raises ValueError, with the line, for invalid GraphML."""
    import networkx as nx

    try:
        with open_bytes(file, tick) as stream:
            text = io.BytesIO(stream.read())  # networkx parses the file again if no namespace is declared
    except DAMAGE as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # an error of the disk, not of the file
        raise ValueError(f"{file}: the compressed data is damaged ({error})") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # from attributes without a type, as written by Neo4j
            graph: Any = nx.read_graphml(text, force_multigraph=True)
    except ParseError as error:
        raise ValueError(f"{file}:{error.position[0]}: not XML ({error})") from None
    except (nx.NetworkXError, KeyError, ValueError, TypeError, AttributeError, StopIteration) as error:
        # Raised by networkx for XML that is not GraphML, or for values that contradict their declared type.
        raise ValueError(f"{file}: not GraphML that networkx reads ({error})") from None
    if "None" in graph and b"None" not in text.getvalue():  # networkx's name for it
        problems.add(file, 0, "a node has no id, or an edge no source or target")
        graph.remove_node("None")
    account = read_networkx(graph, writer, problems, file, keyed=False)
    # Neither pattern matches in UTF-16.
    found, groups = (len(sought.findall(text.getvalue())) for sought in (_GRAPH, _GROUP))
    account.leave("graphs other than the first", count=max(found - groups - 1, 0))
    return account


def read_networkx(
    graph: Any, writer: GraphWriter, problems: Problems, file: Path = Path("graph"), keyed: bool = True
) -> Account:
    """Write a networkx graph of any kind to `writer`; `file` is its name in problems.

    Ids are the nodes as strings, in one line each. With `keyed`, a string that is the key of a multigraph's edge is its
    relation if no attribute gives one (in a file, the key is the edge's id). An undirected edge becomes two triples,
    one per direction. An edge of an unknown split is reported as a problem and skipped, because it may be held out and
    must then be excluded from training.
    """
    for id, label in dict(_relations(graph.graph.get("relations"))).items():
        writer.add_relation(Relation(id, label))
    account = Account()
    for node, data in graph.nodes(data=True):
        try:
            writer.add_entity(_entity(one_line(str(node)), data))
            account.take("entities")
            for name in data.keys() - _NODE_KEYS:
                account.leave("values of nodes", str(name))
        except ValueError as error:
            problems.add(file, 0, str(error))
    triples = {split: TriplesById(writer) for split in SPLITS}
    with_keys = {"keys": True} if graph.is_multigraph() else {}
    for head, tail, *keys, data in graph.edges(data=True, **with_keys):
        split = _SPLITS.get(_text(data.get("split")))
        if split is None:
            expected = ", ".join(filter(None, _SPLITS))
            problems.add(
                file, 0, f"the edge {head!r} → {tail!r} has the split {data['split']!r}; expected {expected}"
            )
            continue
        named = {name: one_line(_text(data.get(name))) for name in _RELATION_KEYS}
        if keyed and keys and isinstance(keys[0], str):
            named["the edge's key"] = one_line(keys[0])
        by, relation = next(((by, text) for by, text in named.items() if text), ("", ""))
        if not relation:
            account.leave(f"edges without a relation, which get {NO_RELATION!r}")
            relation = NO_RELATION
        account.take("facts", by)
        for name in data.keys() - {*_RELATION_KEYS, "split"}:
            account.leave("values of edges", str(name))
        if relation not in writer.relation_rows:
            writer.add_relation(Relation(relation, _text(data.get("label")) or relation))
        ends = one_line(str(head)), one_line(str(tail))
        triples[split].add(ends[0], relation, ends[1])
        if not graph.is_directed():
            triples[split].add(ends[1], relation, ends[0])
    for name, found in triples.items():
        found.store(name)
    return account


def _relations(listed: Any) -> list[tuple[str, str]]:
    """Pairs of id and label from a JSON list; [] for any other value, which may come from another program."""
    try:
        found = parse_json(listed)
        return [(id, label) for id, label in found if isinstance(id, str) and isinstance(label, str) and id]
    except (TypeError, ValueError):
        return []


def _entity(id: str, data: dict[str, Any]) -> Entity:
    """An entity from a node and its attributes. Raises ValueError that names the node and the invalid key."""
    if not id:
        raise ValueError("a node has an empty id")
    try:
        prior = float(data.get("prior") or 0)
    except (TypeError, ValueError):
        prior = -1.0
    if not 0 <= prior < float("inf"):
        raise ValueError(f"`prior` of node {id!r} must be a number, 0 or more, found {data['prior']!r}")
    return Entity(
        id,
        next(filter(None, (_text(data.get(key)) for key in _NAME_KEYS)), id),
        _strings(data.get("aliases")),
        _text(data.get("description")),
        next(filter(None, (_strings(data.get(key), ":") for key in _TYPE_KEYS)), ()),
        prior,
    )


def _text(value: Any) -> str:
    """A value as text. The number 0 is a text; None and pandas' NaN are not."""
    return "" if value is None or (isinstance(value, float) and math.isnan(value)) else str(value)


def _strings(value: Any, opening: str = "") -> tuple[str, ...]:
    """A list, a JSON list in a string, or a single string, as strings. A string that starts with `opening` is split at
    it (Neo4j's ":Person:Actor")."""
    if opening and isinstance(value, str) and value.startswith(opening):
        return tuple(filter(None, value.split(opening)))
    if isinstance(value, str) and value.startswith("["):
        with suppress(JsonError):  # a name may start with a bracket
            value = parse_json(value)
    if isinstance(value, list | tuple | set):
        return tuple(str(entry) for entry in value)
    return (str(value),) if value else ()
