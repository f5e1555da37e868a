"""Vector files of other programs, one table row per format: word2vec's text, OpenKE's and PyKEEN's files.

Nothing is unpickled: PyKEEN's tables must be given as `.npy`, written with one line of numpy.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kg.arrays import Floats32
from kg.problems import Problems
from kg.regular_files import open_regular
from kg.sources.openke import ENTITIES, RELATIONS
from kg.sources.reading import explain, open_bytes, packed_or_not, read_lines, read_whole_json

_WIDEST = 1 << 16
"""Maximum dimension of a vector."""


class ForeignVectors(NamedTuple):
    """Ids or names, and their vectors: float32 [n, D]; those of relations, if there are any."""

    ids: list[str]
    entities: Floats32
    relation_ids: list[str] | None = None
    relations: Floats32 | None = None


@dataclass(frozen=True)
class VectorFormat:
    """A row: a description, the files of this format at a path (none if it has another format), and the reader."""

    about: str
    find: Callable[[Path], list[Path]]
    read: Callable[[Path, Problems], ForeignVectors]


def _find_text(path: Path) -> list[Path]:
    return [path] if path.is_file() else []


def _read_text(file: Path, problems: Problems) -> ForeignVectors:
    """word2vec's and GloVe's text: one name and its numbers per line, with or without a header of counts. A line with
    another number of values is a problem."""
    width, names, rows = 0, list[str](), list[Floats32]()
    for number, line in read_lines(file, problems, lambda _: None):
        try:
            cells = line.decode().rstrip("\r\n").rstrip().split("\t" if b"\t" in line else " ")
            if number == 1 and len(cells) == 2 and all(cell.isdecimal() for cell in cells):
                width = int(cells[1])
                continue
            width = width or len(cells) - 1
            if not 0 < width <= _WIDEST or len(cells) <= width:
                raise ValueError(f"expected a name and {width} numbers, found {len(cells)} columns")
            row = np.array(cells[-width:], np.float32)
            if not np.isfinite(row).all():
                raise ValueError("a number is not finite")
        except ValueError as error:
            problems.add(file, number, explain(error)[:200])
        else:
            names.append(" ".join(cells[:-width]))
            rows.append(row)
    return ForeignVectors(names, np.stack(rows) if rows else np.zeros((0, max(width, 1)), np.float32))


def _find_openke(path: Path) -> list[Path]:
    names = (ENTITIES, RELATIONS, "embedding.vec.json", "entity2vec.vec", "relation2vec.vec")
    found = [path / name for name in names if (path / name).is_file()] if path.is_dir() else []
    return found if len(found) > 1 and found[0].name == ENTITIES and _vectors_among(found) else []


def _vectors_among(files: list[Path]) -> bool:
    return any(file.name in ("embedding.vec.json", "entity2vec.vec") for file in files)


def _read_openke(path: Path, problems: Problems) -> ForeignVectors:
    """`entity2id.txt` and `embedding.vec.json`, or `entity2vec.vec` with one vector per line."""
    files = {file.name: file for file in _find_openke(path)}
    ids = _numbered(files[ENTITIES], problems)
    relation_ids = _numbered(files[RELATIONS], problems) if RELATIONS in files else None
    if "embedding.vec.json" in files:
        tables = read_whole_json(files["embedding.vec.json"], lambda _: None)
        entities = _table(files["embedding.vec.json"], tables, ("ent_embeddings.weight", "ent_embeddings"))
        relations = _table(
            files["embedding.vec.json"], tables, ("rel_embeddings.weight", "rel_embeddings"), False
        )
    else:
        entities = _read_rows(files["entity2vec.vec"])
        relations = _read_rows(files["relation2vec.vec"]) if "relation2vec.vec" in files else None
    return _fitting(path, ids, entities, relation_ids, relations)


def _find_pykeen(path: Path) -> list[Path]:
    if not path.is_dir():
        return []
    ids = [_ids_file(path, kind) for kind in ("entity", "relation")]
    tables = [path / "entities.npy", path / "relations.npy"]
    found = [file for file in (*ids, *tables) if file is not None and file.is_file()]
    return found if ids[0] is not None and tables[0].is_file() else []


def _ids_file(path: Path, kind: str) -> Path | None:
    names = (path / "training_triples" / f"{kind}_to_id.tsv", path / f"{kind}_to_id.tsv")
    return next((file for name in names if (file := packed_or_not(name)) is not None), None)


def _read_pykeen(path: Path, problems: Problems) -> ForeignVectors:
    """`training_triples/entity_to_id.tsv.gz` and `entities.npy`, and the same for relations."""
    tables = {
        name: _load(path / f"{name}.npy")
        for name in ("entities", "relations")
        if (path / f"{name}.npy").is_file()
    }
    ids = {
        kind: _numbered(file, problems)
        for kind in ("entity", "relation")
        if (file := _ids_file(path, kind)) is not None
    }
    return _fitting(path, ids["entity"], tables["entities"], ids.get("relation"), tables.get("relations"))


def _load(file: Path) -> Floats32:
    """A table of numbers, complex ones as pairs. Raises ValueError if the file is not one."""
    with open_regular(file) as stream:
        try:
            table = np.load(io.BytesIO(stream.read()), allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise ValueError(f"{file}: not a table of numbers ({error})") from None
    if table.ndim < 2 or table.dtype.kind not in "fc":
        raise ValueError(f"{file}: expected a table of real numbers, found {table.dtype} {table.shape}")
    if table.dtype.kind == "c":
        table = np.stack([table.real, table.imag], axis=-1)
    flat: Floats32 = table.reshape(len(table), -1).astype(np.float32)
    return flat


def _numbered(file: Path, problems: Problems) -> dict[int, str]:
    """Number → id, from lines `id TAB number` in either order; headers and counts are skipped."""
    found: dict[int, str] = {}
    for number, line in read_lines(file, problems, lambda _: None):
        try:
            cells = line.decode().rstrip("\r\n").split("\t" if b"\t" in line else None)
        except ValueError as error:
            problems.add(file, number, explain(error))
            continue
        if len(cells) == 2 and cells[1].strip().isdecimal():
            found[int(cells[1])] = cells[0].strip()
        elif len(cells) == 2 and cells[0].strip().isdecimal():
            found[int(cells[0])] = cells[1].strip()
        elif number > 1:
            problems.add(file, number, f"expected an id and its number, found {line[:40]!r}")
    return found


def _table(file: Path, tables: object, names: tuple[str, ...], needed: bool = True) -> Floats32 | None:
    found = (
        next((tables[name] for name in names if name in tables), None) if isinstance(tables, dict) else None
    )
    if found is None and not needed:
        return None
    try:
        table = np.array(found, np.float32)
    except (ValueError, TypeError):
        table = np.zeros(0, np.float32)
    if table.ndim != 2:
        raise ValueError(f"{file}: expected a table `{names[0]}`")
    return table


def _read_rows(file: Path) -> Floats32:
    def lines() -> Iterator[str]:
        with open_bytes(file, lambda _: None) as stream:
            for line in stream:
                yield line.decode(errors="replace")

    try:
        return np.loadtxt(lines(), np.float32, ndmin=2)
    except ValueError as error:
        raise ValueError(f"{file}: no table of numbers ({error})") from None


def _fitting(
    path: Path,
    ids: dict[int, str],
    entities: Floats32 | None,
    relation_ids: dict[int, str] | None,
    relations: Floats32 | None,
) -> ForeignVectors:
    """Ids and tables of equal length. Raises ValueError if they do not match."""
    if entities is None or sorted(ids) != list(range(len(entities))):
        raise ValueError(f"{path}: {len(ids):,} ids for {0 if entities is None else len(entities):,} vectors")
    if not np.isfinite(entities).all():
        raise ValueError(f"{path}: some vectors have values that are not finite")
    ordered = [ids[number] for number in range(len(ids))]
    if relations is None or relation_ids is None or sorted(relation_ids) != list(range(len(relations))):
        return ForeignVectors(ordered, entities)
    return ForeignVectors(ordered, entities, [relation_ids[n] for n in range(len(relation_ids))], relations)


FORMATS = {
    "pykeen": VectorFormat(
        "a folder of PyKEEN's `save_to_directory`, and `entities.npy` (`np.save`) in it",
        _find_pykeen,
        _read_pykeen,
    ),
    "openke": VectorFormat(
        "a folder with `entity2id.txt` and `embedding.vec.json` or `entity2vec.vec`",
        _find_openke,
        _read_openke,
    ),
    "word2vec": VectorFormat(
        "word2vec's or GloVe's text format: per line a name and its numbers", _find_text, _read_text
    ),
}
"""Name → format; the first one with files at a path is used."""


def format_of(path: Path) -> VectorFormat:
    """The format of the file or folder at a path. Raises ValueError if unknown."""
    for row in FORMATS.values():
        if row.find(path):
            return row
    if any(path.glob("*.pkl")) if path.is_dir() else False:
        raise ValueError(
            f"{path}: a pickled model is not opened, since that would execute its content; save its table next to it: "
            "np.save('entities.npy', model.entity_representations[0](indices=None).detach().numpy())"
        )
    raise ValueError(f"{path}: expected {'; or '.join(row.about for row in FORMATS.values())}")
