"""OpenKE's benchmarks: a folder with `entity2id.txt`, `relation2id.txt`, `train2id.txt`, and `valid2id.txt`,
`test2id.txt`.

The first line of each file is the number of its lines. A triple is head, tail, relation, as numbers. Labels are read
from `entity2name.txt` or `entity2text.txt` (id, tab, text), if present.
"""

from __future__ import annotations

from pathlib import Path

from kg.problems import Problems
from kg.sources.account import Account
from kg.sources.collected import Collected
from kg.sources.reading import Choices, Tick, explain, read_lines
from kg.sources.vocabularies import Role
from kg.writer import SPLITS, GraphWriter

ENTITIES, RELATIONS = "entity2id.txt", "relation2id.txt"
_NAMES = ("entity2name.txt", "entity2label.txt", "entity2text.txt")


def find_openke(path: Path) -> list[Path]:
    """Find the files of a folder. Raises ValueError if a required one is missing."""
    needed = [path / name for name in (ENTITIES, RELATIONS, "train2id.txt")]
    missing = [file.name for file in needed if not file.is_file()]
    if missing:
        raise ValueError(f"{path}: expected a folder of OpenKE with {', '.join(missing)}")
    others = [path / name for name in (*(f"{split}2id.txt" for split in SPLITS[1:]), *_NAMES)]
    return [*needed, *(file for file in others if file.is_file())]


def read_openke(
    path: Path, writer: GraphWriter, problems: Problems, tick: Tick, _choices: Choices
) -> Account:
    """Read the folder. A triple with an undefined number is reported as a problem."""
    files = {file.name: file for file in find_openke(path)}
    graph = Collected()
    entities, relations = (_ids(files[name], problems, tick) for name in (ENTITIES, RELATIONS))
    for id in entities.values():
        graph.entity(id)
    for name in _NAMES:
        if name in files:
            _read_names(files[name], set(entities.values()), graph, problems, tick)
    for split in SPLITS:
        file = files.get(f"{split}2id.txt")
        for number, line in read_lines(file, problems, tick) if file is not None else ():
            cells = line.split()
            if number == 1 and len(cells) == 1:
                continue
            try:
                head, tail, relation = map(int, cells)
                graph.triple(
                    entities[head], relations[relation], entities[tail], file.name if file else "", split
                )
            except (ValueError, KeyError):
                expected = "expected the numbers of head, tail and relation"
                problems.add(
                    path if file is None else file,
                    number,
                    f"{expected}, found {line[:40].decode(errors='replace')!r}",
                )
    for file in sorted(path.iterdir()):
        if file.name not in files and file.is_file():
            graph.account.leave("files", file.name)
    return graph.store(writer)


def _ids(file: Path, problems: Problems, tick: Tick) -> dict[int, str]:
    """Number → id. An id may contain spaces; the number is the last field."""
    found: dict[int, str] = {}
    for number, line in read_lines(file, problems, tick):
        try:
            id, _, count = line.decode().strip().rpartition("\t" if b"\t" in line else " ")
            if number == 1 and not id:
                continue
            if not id or int(count) in found:
                raise ValueError(
                    f"expected an id and a unique number, found {line[:40].decode(errors='replace')!r}"
                )
            found[int(count)] = id.strip()
        except ValueError as error:
            problems.add(file, number, explain(error))
    return found


def _read_names(file: Path, known: set[str], graph: Collected, problems: Problems, tick: Tick) -> None:
    for number, line in read_lines(file, problems, tick):
        try:
            id, tab, name = line.decode().strip().partition("\t")
            if not tab:
                raise ValueError(f"expected an id and its name, separated by a tab, found {id[:40]!r}")
        except ValueError as error:
            problems.add(file, number, explain(error))
            continue
        if id in known:
            graph.tell(id, Role.NAME, name, file.name)


def _shown(line: bytes) -> str:
    return repr(line[:40].decode(errors="replace"))
