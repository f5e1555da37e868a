"""kepipe's plain format for user graphs: triples as tab-separated lines, entities as JSON lines.

Either a folder with `train.tsv` (also `valid.tsv`, `test.tsv`) or `triples.tsv`, or a single file of triples. Optional
files in the same folder: `entities.jsonl` (`id`, and any of `label`, `aliases`, `description`, `types`, `prior`,
`xrefs`: ids in other sources) and `relations.tsv` (id, label). The label of an id that occurs only in triples is the id
itself. Each file may be compressed (`train.tsv.gz`, `train.tsv.bz2`).
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kg.arrays import Ints
from kg.problems import Problems
from kg.regular_files import JsonError, parse_json
from kg.schema import Entity, Relation
from kg.sources.account import Account
from kg.sources.reading import Choices, Tick, explain, packed_or_not, read_blocks, read_lines
from kg.writer import SPLITS, GraphWriter

_HEADERS = {(b"head", b"relation", b"tail"), (b"subject", b"predicate", b"object")}
_NAMES = ("head", "relation", "tail")
_KEYS = frozenset(("id", "label", "aliases", "description", "types", "prior", "xrefs"))
_TOLD = {
    "label": "names",
    "aliases": "aliases",
    "description": "descriptions",
    "types": "types",
    "prior": "priors",
}
"""Key of an entity → the category under which its values are counted."""
_KEYS_COUNTED = 20
"""Approximate maximum number of unknown keys that are counted separately."""
_SPACE = ord(" ")
_BLOCK = 1 << 26
"""Bytes of triples parsed at once. Each block requires a pass over all ids read so far, so it should not be small."""


def find_files(path: Path) -> dict[str, Path]:
    """Find the files of the graph at `path`: "entities" and "relations", if present, and splits.

    Raises ValueError if there are no triples.
    """
    folder = path if path.is_dir() else path.parent
    if path.is_file():
        splits: dict[str, Path | None] = {"train": path}
    else:
        splits = {
            split: packed_or_not(folder / f"{split}.tsv") or packed_or_not(folder / f"{split}.txt")
            for split in SPLITS
        }
        if splits["train"] is None:
            splits = {"train": packed_or_not(folder / "triples.tsv")}
        if splits["train"] is None:
            if (path / "graph.json").is_file():
                raise ValueError(f"{path}: is a stored graph, not a source to import")
            raise ValueError(f"{path}: expected a file of triples, or a folder with train.tsv or triples.tsv")
    names = {"entities": "entities.jsonl", "relations": "relations.tsv"}
    found = {name: packed_or_not(folder / file) for name, file in names.items()} | splits
    return {name: file for name, file in found.items() if file is not None}


def read_native(
    path: Path, writer: GraphWriter, problems: Problems, tick: Tick, _choices: Choices
) -> Account:
    """Read the graph at `path` into `writer`; invalid lines are reported to `problems`. Raises ValueError as
    `find_files`."""
    files = find_files(path)
    account = Account()
    if "entities" in files:
        _read_entities(files["entities"], writer, problems, tick, account)
    if "relations" in files:
        _read_relations(files["relations"], writer, problems, tick)
        account.take("relations", files["relations"].name, len(writer.relation_rows))
    for split in SPLITS:
        if split in files:
            _read_triples(files[split], split, writer, problems, tick, files)
            account.take("facts", files[split].name, writer.count(split))
    if path.is_dir():
        for file in sorted(set(path.iterdir()) - set(files.values())):
            if file.is_file() and not file.name.startswith("."):
                account.leave("files", file.name)
    return account


def _read_entities(file: Path, writer: GraphWriter, problems: Problems, tick: Tick, account: Account) -> None:
    """Read the entities; values of unknown keys are counted as skipped."""
    unknown: Counter[str] = Counter()
    for number, line in read_lines(file, problems, tick):
        try:
            fields = parse_json(line)
            entity, further = _entity(fields), _further_ids(fields)
            row = writer.add_entity(entity)
            account.take("entities", file.name)
            for key, what in _TOLD.items():
                if value := fields.get(key):
                    account.take(what, key, len(value) if isinstance(value, list) else 1)
            if further:
                writer.add_further_ids(row, further)
                account.take("further ids", "xrefs", len(further))
            if more := fields.keys() - _KEYS:
                unknown.update(more if len(unknown) < _KEYS_COUNTED else more & unknown.keys())
        except JsonError as error:
            problems.add(file, number, f"{error}; expected one JSON object per line")
        except ValueError as error:
            problems.add(file, number, str(error))
    for key, count in unknown.items():
        account.leave(f"values under the key {key!r} of {file.name}", count=count)


def _further_ids(fields: Any) -> list[str]:
    """The ids in other sources, under `xrefs`. Raises ValueError if they are not a list of strings."""
    ids = fields.get("xrefs") or []
    if not isinstance(ids, list) or not all(isinstance(id, str) and id for id in ids):
        raise ValueError(f"`xrefs` of {fields['id']!r} must be a list of ids, found {str(ids)[:60]}")
    return ids


def _entity(fields: Any) -> Entity:
    """An entity from a parsed line. Raises ValueError that names the invalid key."""
    if not isinstance(fields, dict):
        raise ValueError(f'expected an object such as {{"id": "Q64"}}, found {type(fields).__name__}')
    id = fields.get("id")
    if not isinstance(id, str) or not id:
        raise ValueError(f"`id` must be a non-empty string, found {id!r}")
    if any(char in id for char in "\t\r\n"):
        raise ValueError(f"`id` must not contain a tab or a line break, found {id!r}")
    for key in ("label", "description"):
        if not isinstance(fields.get(key) or "", str):
            raise ValueError(f"`{key}` of {id!r} must be a string, found {fields[key]!r}")
    for key in ("aliases", "types"):
        values = fields.get(key) or []
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise ValueError(f"`{key}` of {id!r} must be a list of strings, found {values!r}")
    prior = fields.get("prior") or 0
    if isinstance(prior, bool) or not isinstance(prior, int | float) or not 0 <= prior <= sys.float_info.max:
        raise ValueError(f"`prior` of {id!r} must be a number, 0 or more, found {str(prior)[:40]}")
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
    """Read a file of triples. Ids that are missing from an existing entities or relations file are reported, but kept.

    Blocks of lines are parsed by Arrow. A block with errors that Arrow would not report is parsed line by line.
    """
    for first, block in read_blocks(file, problems, tick, size=_BLOCK):
        if first == 1 and _is_header(block):
            first, block = 2, block.partition(b"\n")[2]
        parsed = _parse(block, first) or _sift(block, first)
        found = parsed.problems
        entities, relations = writer.add_facts(split, *parsed.columns)
        for name, new in (("entities", entities), ("relations", relations)):
            if name in given:
                ids, places = new.ids.to_pylist(), new.places.tolist()
                lines = parsed.lines[places].tolist()
                found += [(line, _lacks(given[name], id)) for line, id in zip(lines, ids, strict=True)]
        for line, message in sorted(found):
            problems.add(file, line, message)


def _lacks(file: Path, id: str) -> str:
    return f"{id!r} is not in {file.name}: kept, with its id as label"


def _is_header(block: bytes) -> bool:
    """Whether a file starts with a header."""
    line = block.partition(b"\n")[0].rstrip(b"\r").lower()
    return tuple(line.split(b"\t")) in _HEADERS


class _Parsed(NamedTuple):
    """The triples of a block: heads, relations and tails as Arrow arrays, their line numbers, and the problems of other
    lines."""

    columns: tuple[Any, Any, Any]
    lines: Ints
    problems: list[tuple[int, str]]


def _parse(block: bytes, first: int) -> _Parsed | None:
    """The triples of a block whose first line is number `first`; None if it must be parsed line by line.

    This is the case if a field may be blank, a carriage return occurs inside a line, or a byte is invalid UTF-8.
    """
    from pyarrow import ArrowInvalid, BufferReader, csv, large_string

    text = block.replace(b"\r\n", b"\n").removesuffix(b"\r") if b"\r" in block else block
    if not text or b"\r" in text or not _is_utf8(text):
        return None
    odd: dict[int, bytes] = {}

    def skip(row: Any) -> str:
        odd[row.number - 1] = row.text.encode()
        return "skip"

    try:
        table = csv.read_csv(
            BufferReader(text),
            csv.ReadOptions(use_threads=False, block_size=len(text) + 1, column_names=_NAMES),
            csv.ParseOptions(
                delimiter="\t",
                quote_char=False,
                double_quote=False,
                ignore_empty_lines=False,
                invalid_row_handler=skip,
            ),
            csv.ConvertOptions(column_types=dict.fromkeys(_NAMES, large_string()), check_utf8=False),
        )
    except ArrowInvalid:
        return None
    columns = tuple(column.combine_chunks() for column in table.columns)
    if any(_may_be_blank(column) for column in columns):
        return None
    lines = np.delete(np.arange(len(table) + len(odd)), list(odd)) + first
    problems = [
        (first + row, _explain(line)) for row, line in odd.items() if not (not line or line.isspace())
    ]
    return _Parsed(columns, lines, problems)


def _is_utf8(text: bytes) -> bool:
    if text.isascii():
        return True
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _may_be_blank(texts: Any) -> bool:
    """Whether a text of an Arrow array is empty or starts with a blank."""
    _, starts, data = texts.buffers()
    bounds = np.frombuffer(starts, np.int64)[: len(texts) + 1]
    if (bounds[1:] == bounds[:-1]).any():
        return True
    return bool(len(texts)) and bool((np.frombuffer(data, np.uint8)[bounds[:-1]] <= _SPACE).any())


def _sift(block: bytes, first: int) -> _Parsed:
    """Parse a block like `_parse`, line by line."""
    from pyarrow import array, large_string

    fields: list[str] = []
    lines: list[int] = []
    problems: list[tuple[int, str]] = []
    for number, line in enumerate(block.split(b"\n"), first):
        if line and not line.isspace():
            try:
                fields += _columns(line, _NAMES)
                lines.append(number)
            except ValueError as error:
                problems.append((number, explain(error)))
    columns = tuple(array(fields[place::3], large_string()) for place in range(3))
    return _Parsed(columns, np.asarray(lines, np.int64), problems)


def _explain(line: bytes) -> str:
    """The reason why a line is not a triple."""
    try:
        _columns(line, _NAMES)
    except ValueError as error:
        return explain(error)
    raise AssertionError(f"a valid triple was rejected: {line!r}")


def _columns(line: bytes, names: tuple[str, ...]) -> list[str]:
    """The tab-separated fields of a line. Raises ValueError if their number differs from that of `names`, or if one is
    blank."""
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
