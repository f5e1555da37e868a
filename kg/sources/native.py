"""A user's own graph: triples as tab-separated lines, entities as JSON lines.

Either a folder with `train.tsv` (also `valid.tsv`, `test.tsv`) or `triples.tsv`, or one file of triples.
Beside them may stand `entities.jsonl` (`id`, and any of `label`, `aliases`, `description`, `types`, `prior`)
and `relations.tsv` (id, label). Whatever is named in a triple only gets its id as label.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from kg.problems import Problems
from kg.schema import Entity, Relation
from kg.writer import SPLITS, GraphWriter

Tick = Callable[[int], None]
"""Told how many bytes were read since the last call."""

_HEADERS = {("head", "relation", "tail"), ("subject", "predicate", "object")}
_BOM = b"\xef\xbb\xbf"
_LINES_A_TICK = 1 << 16


def find_files(path: Path) -> dict[str, Path]:
    """The files of the graph at `path`: "entities" and "relations" where there are any, and splits.

    Raises ValueError where there are no triples.
    """
    folder = path if path.is_dir() else path.parent
    if path.is_file():
        splits = {"train": path}
    else:
        splits = {split: folder / f"{split}.tsv" for split in SPLITS}
        if not splits["train"].is_file():
            splits = {"train": folder / "triples.tsv"}
        if not splits["train"].is_file():
            raise ValueError(f"{path}: expected a file of triples, or a folder with train.tsv or triples.tsv")
    found = {"entities": folder / "entities.jsonl", "relations": folder / "relations.tsv", **splits}
    return {name: file for name, file in found.items() if file.is_file()}


def read_native(path: Path, writer: GraphWriter, problems: Problems, tick: Tick = lambda _: None) -> None:
    """Read the graph at `path` into `writer`; bad lines go to `problems`. Raises ValueError as `find_files`."""
    files = find_files(path)
    if "entities" in files:
        _read_entities(files["entities"], writer, problems, tick)
    if "relations" in files:
        _read_relations(files["relations"], writer, problems, tick)
    for split in SPLITS:
        if split in files:
            _read_triples(files[split], split, writer, problems, tick, files)
    if not len(writer.triples("train")):
        raise ValueError(
            f"{files['train']}: no triples to train on; {problems.summary() or 'the file is empty'}"
        )


def _read_entities(file: Path, writer: GraphWriter, problems: Problems, tick: Tick) -> None:
    for number, line in _lines(file, tick):
        try:
            writer.add_entity(_entity(json.loads(line)))
        except UnicodeDecodeError as error:
            problems.add(file, number, f"not UTF-8 (byte {error.start + 1})")
        except json.JSONDecodeError as error:
            problems.add(file, number, f"not JSON ({error.msg}, column {error.colno}); one object a line")
        except ValueError as error:
            problems.add(file, number, str(error))


def _entity(fields: Any) -> Entity:
    """An entity of a parsed line. Raises ValueError that says which key is wrong."""
    if not isinstance(fields, dict):
        raise ValueError(f'expected an object such as {{"id": "Q64"}}, found {type(fields).__name__}')
    id = fields.get("id")
    if not isinstance(id, str) or not id:
        raise ValueError(f"`id` must be a non-empty string, found {id!r}")
    if any(char in id for char in "\t\r\n"):
        raise ValueError(f"`id` may hold no tab and no end of line, found {id!r}")
    for key in ("label", "description"):
        if not isinstance(fields.get(key) or "", str):
            raise ValueError(f"`{key}` of {id!r} must be a string, found {fields[key]!r}")
    for key in ("aliases", "types"):
        values = fields.get(key) or []
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise ValueError(f"`{key}` of {id!r} must be a list of strings, found {values!r}")
    prior = fields.get("prior") or 0
    if not isinstance(prior, int | float) or not 0 <= prior < float("inf"):
        raise ValueError(f"`prior` of {id!r} must be a number, 0 or more, found {prior!r}")
    return Entity(
        id,
        fields.get("label") or id,
        tuple(fields.get("aliases") or ()),
        fields.get("description") or "",
        tuple(fields.get("types") or ()),
        float(prior),
    )


def _read_relations(file: Path, writer: GraphWriter, problems: Problems, tick: Tick) -> None:
    for number, line in _lines(file, tick):
        try:
            id, label = _columns(line, ("relation id", "label"))
            writer.add_relation(Relation(id, label))
        except ValueError as error:
            problems.add(file, number, _explain(error))


def _read_triples(
    file: Path, split: str, writer: GraphWriter, problems: Problems, tick: Tick, given: dict[str, Path]
) -> None:
    """Read one file of triples. Ids that a given entities or relations file lacks are reported, and kept."""
    entities, relations = writer.entity_rows, writer.relation_rows
    rows = array("i")
    for number, line in _lines(file, tick):
        try:
            head, relation, tail = line.decode().rstrip("\r\n").split("\t")
            if not (head and relation and tail):
                raise ValueError("empty")
        except ValueError:
            try:
                _columns(line, ("head", "relation", "tail"))
            except ValueError as error:
                problems.add(file, number, _explain(error))
            continue
        if number == 1 and (head.lower(), relation.lower(), tail.lower()) in _HEADERS:
            continue
        for id in (head, tail):
            if id not in entities:
                writer.add_entity(Entity(id, id))
                if "entities" in given:
                    problems.add(
                        file, number, f"{id!r} is not in {given['entities'].name}: kept, its id as label"
                    )
        if relation not in relations:
            writer.add_relation(Relation(relation, relation))
            if "relations" in given:
                problems.add(
                    file, number, f"{relation!r} is not in {given['relations'].name}: kept, its id as label"
                )
        rows.extend((entities[head], relations[relation], entities[tail]))
    writer.add_triples(split, np.frombuffer(rows, np.int32))


def _columns(line: bytes, names: tuple[str, ...]) -> list[str]:
    """The tab-separated fields of a line. Raises ValueError unless they are as many as `names`, none empty."""
    fields = line.decode().rstrip("\r\n").split("\t")
    if len(fields) != len(names):
        expected = f"{len(names)} columns separated by tabs ({', '.join(names)})"
        raise ValueError(f"expected {expected}, found {len(fields)}: {line.decode().rstrip()[:60]!r}")
    for name, field in zip(names, fields, strict=True):
        if not field:
            raise ValueError(f"the {name} is empty")
    return fields


def _explain(error: ValueError) -> str:
    return f"not UTF-8 (byte {error.start + 1})" if isinstance(error, UnicodeDecodeError) else str(error)


def _lines(file: Path, tick: Tick) -> Iterator[tuple[int, bytes]]:
    """Numbered lines as bytes, so that one that is no UTF-8 costs one line; blank lines hold nothing."""
    read = 0
    with file.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            read += len(line)
            if number % _LINES_A_TICK == 0:
                tick(read)
                read = 0
            if number == 1:
                line = line.removeprefix(_BOM)
            if not line.isspace() and line:
                yield number, line
    tick(read)
