"""The formats a graph can be read from: one row each, guessed from a file's name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kg.problems import Problems
from kg.sources import native
from kg.sources.delimited import read_delimited
from kg.sources.graphml import read_graphml
from kg.sources.rdf import FORMATS as RDF_ENDINGS
from kg.sources.rdf import read_rdf
from kg.sources.reading import Choices, Tick
from kg.sources.spo import read_spo
from kg.sources.wikidata import read_wikidata
from kg.sources.wordnet import DATA as WORDNET_DATA
from kg.sources.wordnet import find_files as find_wordnet
from kg.sources.wordnet import read_wordnet
from kg.writer import GraphWriter

Reader = Callable[[Path, GraphWriter, Problems, Tick, Choices], Counter[str]]
"""Fills the writer from a path; bad lines go to the problems; gives what was left out on purpose: reason → how many."""


@dataclass(frozen=True, slots=True)
class Format:
    """A format: its name, what it is, the endings of its files, its reader, and the files that lie at a path."""

    name: str
    about: str
    endings: tuple[str, ...]
    read: Reader
    files: Callable[[Path], list[Path]]


def one_file(path: Path) -> list[Path]:
    """The file itself. Raises ValueError where there is none."""
    if not path.is_file():
        raise ValueError(f"{path}: {'expected a file, found a folder' if path.exists() else 'no such file'}")
    return [path]


def _read_native(
    path: Path, writer: GraphWriter, problems: Problems, tick: Tick, _choices: Choices
) -> Counter[str]:
    native.read_native(path, writer, problems, tick)
    return Counter()


def _native_files(path: Path) -> list[Path]:
    return list(native.find_files(path).values())


_ROWS = (
    Format("native", "triples by tab, with entities.jsonl and relations.tsv", (".tsv",), _read_native, _native_files),
    Format("csv", "a table with a header, three of its columns", (".csv",), read_delimited, one_file),
    Format("spo", "K-BERT's subject, predicate, object by tab", (".spo",), read_spo, one_file),
    Format("rdf", "N-Triples, N-Quads, Turtle, TriG, RDF/XML", tuple(RDF_ENDINGS), read_rdf, one_file),
    Format("wikidata", "Wikidata's JSON dump", (".json", ".jsonl", ".ndjson"), read_wikidata, one_file),
    Format("wordnet", "WordNet's database files", WORDNET_DATA, read_wordnet, find_wordnet),
    Format("graphml", "GraphML", (".graphml", ".xml"), read_graphml, one_file),
)  # fmt: skip
FORMATS = {row.name: row for row in _ROWS}
"""Name → format. GeoNames, which has no file, is `kg.sources.geonames`."""


def guess(path: Path) -> Format:
    """The format of the file or folder at `path`, by its name. Raises ValueError where none fits."""
    if path.is_dir():
        return FORMATS["wordnet" if any((path / name).is_file() for name in WORDNET_DATA) else "native"]
    name = path.name.lower().removesuffix(".gz").removesuffix(".bz2")
    for format in _ROWS:
        if name.endswith(format.endings):
            return format
    endings = " ".join(ending for format in _ROWS for ending in format.endings)
    raise ValueError(
        f"{path}: cannot tell its format from its name; name one, or end it with one of {endings}"
    )
