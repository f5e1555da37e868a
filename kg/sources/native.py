"""A user's own graph: triples as tab-separated lines, entities as JSON lines.

Either a folder with `train.tsv` (also `valid.tsv`, `test.tsv`) or `triples.tsv`, or one file of triples.
Beside them may stand `entities.jsonl` (`id`, and any of `label`, `aliases`, `description`, `types`, `prior`)
and `relations.tsv` (id, label). Whatever is named in a triple only gets its id as label.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kg.problems import Problems
from kg.schema import Entity, Relation
from kg.sources.reading import Choices, Tick, explain, read_blocks, read_lines
from kg.writer import SPLITS, GraphWriter

_HEADERS = {(b"head", b"relation", b"tail"), (b"subject", b"predicate", b"object")}
_TAB, _NEWLINE, _SPACE = b"\t\n "


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


def read_native(
    path: Path, writer: GraphWriter, problems: Problems, tick: Tick, _choices: Choices
) -> Counter[str]:
    """Read the graph at `path` into `writer`; bad lines go to `problems`. Raises ValueError as `find_files`."""
    files = find_files(path)
    if "entities" in files:
        _read_entities(files["entities"], writer, problems, tick)
    if "relations" in files:
        _read_relations(files["relations"], writer, problems, tick)
    for split in SPLITS:
        if split in files:
            _read_triples(files[split], split, writer, problems, tick, files)
    return Counter()


def _read_entities(file: Path, writer: GraphWriter, problems: Problems, tick: Tick) -> None:
    for number, line in read_lines(file, problems, tick):
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
    for number, line in read_lines(file, problems, tick):
        try:
            id, label = _columns(line, ("relation id", "label"))
            writer.add_relation(Relation(id, label))
        except ValueError as error:
            problems.add(file, number, explain(error))


def _read_triples(
    file: Path, split: str, writer: GraphWriter, problems: Problems, tick: Tick, given: dict[str, Path]
) -> None:
    """Read one file of triples. Ids that a given entities or relations file lacks are reported, and kept.

    A block of lines that all are triples, as most are, is split at once; another is sifted line by line.
    """
    for first, block in read_blocks(file, problems, tick):
        if first == 1 and _is_header(block):
            first, block = 2, block.partition(b"\n")[2]
        found: list[tuple[int, str]] = []
        fields = _split(block)
        lines: Sequence[int] = range(first, first + len(fields or ()) // 3)
        if fields is None:
            fields, lines = _sift(block, first, found)
        names = fields[1::3]
        del fields[1::3]
        relations, new_relations = writer.relations_by_id(names)
        entities, new_entities = writer.entities_by_id(fields)
        writer.add_triples(split, np.stack([entities[::2], relations, entities[1::2]], axis=1))
        if "entities" in given:
            found += [(lines[place // 2], _lacks(given["entities"], fields[place])) for place in new_entities]
        if "relations" in given:
            found += [(lines[place], _lacks(given["relations"], names[place])) for place in new_relations]
        for line, message in sorted(found):
            problems.add(file, line, message)


def _lacks(file: Path, id: str) -> str:
    return f"{id!r} is not in {file.name}: kept, its id as label"


def _is_header(block: bytes) -> bool:
    """Whether a file begins with the names of its columns."""
    line = block.partition(b"\n")[0].rstrip(b"\r").lower()
    return tuple(line.split(b"\t")) in _HEADERS


def _split(block: bytes) -> list[str] | None:
    """Head, relation, tail, head, … of a block in which every line is a triple; None where one is not."""
    text = block.replace(b"\r\n", b"\n") if b"\r" in block else block
    text = text if text.endswith(b"\n") else text + b"\n"
    codes = np.frombuffer(text, np.uint8)
    marks = np.flatnonzero((codes == _TAB) | (codes == _NEWLINE))
    kinds = codes[marks]
    if len(marks) % 3 or (kinds.reshape(-1, 3) != (_TAB, _TAB, _NEWLINE)).any() or b"\r" in text:
        return None
    # A field that is empty or blank has no byte above the space.
    if not np.logical_or.reduceat(codes > _SPACE, np.append(0, marks[:-1] + 1)).all():
        return None
    try:
        return text.decode().replace("\n", "\t").split("\t")[:-1]
    except UnicodeDecodeError:
        return None


def _sift(block: bytes, first: int, problems: list[tuple[int, str]]) -> tuple[list[str], list[int]]:
    """The same of the lines that are triples, and their numbers; what is wrong with others is added to `problems`."""
    fields: list[str] = []
    lines: list[int] = []
    for number, line in enumerate(block.split(b"\n"), first):
        if line and not line.isspace():
            try:
                fields += _columns(line, ("head", "relation", "tail"))
                lines.append(number)
            except ValueError as error:
                problems.append((number, explain(error)))
    return fields, lines


def _columns(line: bytes, names: tuple[str, ...]) -> list[str]:
    """The tab-separated fields of a line. Raises ValueError unless they are as many as `names`, none blank."""
    text = line.decode().rstrip("\r\n")
    fields = text.split("\t")
    if len(fields) != len(names):
        expected = f"{len(names)} columns separated by tabs ({', '.join(names)})"
        raise ValueError(f"expected {expected}, found {len(fields)}: {text[:60]!r}")
    for name, field in zip(names, fields, strict=True):
        if max(field, default=" ") <= " ":
            raise ValueError(f"the {name} is empty")
    if "\r" in text:
        raise ValueError(f"a carriage return inside: {text[:60]!r}")
    return fields
