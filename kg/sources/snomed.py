"""SNOMED CT in Release Format 2: a folder with the snapshots of concepts, descriptions and relationships, at any depth.

Active concepts are entities. The label is the synonym preferred by a language reference set, else the fully specified
name without its semantic tag ("Asthma (disorder)"); the tag is the type. Relationships are triples of concept ids;
116680003 is "is a".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from kg.problems import Problems
from kg.sources.account import Account
from kg.sources.collected import Collected
from kg.sources.reading import Choices, Tick, explain, rank_language, read_lines
from kg.sources.vocabularies import Role
from kg.writer import GraphWriter

_KINDS = {
    "concept": "sct2_Concept_*Snapshot*.txt*",
    "description": "sct2_Description_*Snapshot*.txt*",
    "definition": "sct2_TextDefinition_*Snapshot*.txt*",
    "relationship": "sct2_Relationship_*Snapshot*.txt*",
    "language": "der2_cRefset_Language*Snapshot*.txt*",
}
_FULL_NAME, _PREFERRED = "900000000000003001", "900000000000548007"
_TAG = re.compile(r"(?P<name>.*\S)\s*\((?P<tag>[^()]*)\)\s*")


def find_snomed(path: Path) -> list[Path]:
    """Find the files of the snapshot. Raises ValueError if descriptions or relationships are missing."""
    found = _files(path)
    missing = [kind for kind in ("description", "relationship") if not found[kind]]
    if missing:
        raise ValueError(
            f"{path}: expected a snapshot of SNOMED CT with {' and '.join(_KINDS[kind] for kind in missing)} "
            f"(not the files `Full` or `Delta`)"
        )
    return [file for files in found.values() for file in files]


def _files(path: Path) -> dict[str, list[Path]]:
    return {kind: sorted(path.rglob(pattern)) if path.is_dir() else [] for kind, pattern in _KINDS.items()}


def read_snomed(path: Path, writer: GraphWriter, problems: Problems, tick: Tick, choices: Choices) -> Account:
    """Read the folder. Uses the option `languages`."""
    find_snomed(path)
    files, graph = _files(path), Collected()
    active = {row["id"] for row in _rows(files["concept"], problems, tick, ("id",))}
    preferred = {
        row["referencedComponentId"]
        for row in _rows(files["language"], problems, tick, ("referencedComponentId", "acceptabilityId"))
        if row["acceptabilityId"] == _PREFERRED
    }
    kinds: set[str] = set()
    for row in _rows(files["relationship"], problems, tick, ("sourceId", "destinationId", "typeId")):
        ends = row["sourceId"], row["destinationId"]
        if active and not active.issuperset(ends):
            graph.account.leave("relationships of inactive concepts")
        else:
            graph.triple(ends[0], row["typeId"], ends[1], row["typeId"])
            kinds.add(row["typeId"])
    labels: dict[str, tuple[int, str]] = {}
    needed = ("id", "conceptId", "languageCode", "typeId", "term")
    for row in _rows(files["description"], problems, tick, needed):
        rank = rank_language(row["languageCode"], choices.languages)
        if rank is None:
            graph.account.leave("names in other languages", row["languageCode"])
        elif active and row["conceptId"] not in active:
            graph.account.leave("names of inactive concepts")
        else:
            best = _tell(graph, row, 2 * rank + (row["id"] not in preferred))
            if row["conceptId"] in kinds:
                labels[row["conceptId"]] = min(labels.get(row["conceptId"], best), best)
    for row in _rows(files["definition"], problems, tick, ("conceptId", "languageCode", "term")):
        rank = rank_language(row["languageCode"], choices.languages)
        if rank is not None and (not active or row["conceptId"] in active):
            graph.tell(row["conceptId"], Role.DESCRIPTION, row["term"], "text definitions", rank)
    for id, (_, label) in labels.items():
        graph.relation(id, label)
    return graph.store(writer)


def _tell(graph: Collected, row: dict[str, str], rank: int) -> tuple[int, str]:
    """Add a description; returns its rank and text as a label."""
    concept, term = row["conceptId"], row["term"]
    tagged = _TAG.fullmatch(term) if row["typeId"] == _FULL_NAME else None
    if row["typeId"] == _FULL_NAME:
        rank += 100  # ranked after every synonym
    if tagged is not None:
        term = tagged["name"]
        graph.tell(concept, Role.TYPE, tagged["tag"], "semantic tags")
    graph.tell(concept, Role.NAME, term, "full names" if row["typeId"] == _FULL_NAME else "synonyms", rank)
    return rank, term


def _rows(
    files: list[Path], problems: Problems, tick: Tick, needed: tuple[str, ...]
) -> Iterator[dict[str, str]]:
    """Yield the active rows of files. Raises ValueError if a column is missing."""
    for file in files:
        header: list[str] = []
        for number, line in read_lines(file, problems, tick):
            try:
                cells = line.decode().rstrip("\r\n").split("\t")
            except ValueError as error:
                problems.add(file, number, explain(error))
                continue
            if not header:
                header = cells
                missing = [name for name in (*needed, "active") if name not in header]
                if missing:
                    raise ValueError(
                        f"{file}:1: no column {missing[0]!r}; the header has {', '.join(header)}"
                    )
            elif len(cells) != len(header):
                problems.add(
                    file, number, f"expected {len(header)} columns separated by tabs, found {len(cells)}"
                )
            else:
                row = dict(zip(header, cells, strict=True))
                if row["active"] == "1":
                    yield row
