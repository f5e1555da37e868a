"""UMLS in Rich Release Format: a folder with `MRCONSO.RRF` and `MRREL.RRF`, and optionally `MRDEF.RRF` and `MRSTY.RRF`.

Concepts are entities (id: the CUI); their strings are names, definitions are descriptions, semantic types are types,
and codes of source vocabularies are further ids ("MSH:D003920"). `MRREL` states the relation of CUI2 to CUI1 (UMLS
Reference Manual, section 3.3.9). Suppressed rows are skipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from kg.problems import Problems
from kg.sources.account import Account
from kg.sources.collected import Collected
from kg.sources.reading import Choices, Tick, explain, packed_or_not, read_lines
from kg.sources.vocabularies import Role
from kg.writer import GraphWriter

_FILES = {"MRCONSO.RRF": 18, "MRREL.RRF": 16, "MRDEF.RRF": 8, "MRSTY.RRF": 6}
"""File name → its number of columns."""
_LANGUAGES = {
    "en": "ENG", "zh": "CHI", "es": "SPA", "fr": "FRE", "de": "GER", "pt": "POR", "it": "ITA", "nl": "DUT",
    "ja": "JPN", "ko": "KOR", "ru": "RUS", "cs": "CZE", "pl": "POL", "sv": "SWE", "fi": "FIN", "no": "NOR",
    "da": "DAN", "hu": "HUN", "el": "GRE", "tr": "TUR", "hr": "SCR", "et": "EST", "lv": "LAV", "he": "HEB",
    "eu": "BAQ", "ar": "ARA", "uk": "UKR",
}  # fmt: skip
_RELATIONS = {
    "PAR": "has parent", "CHD": "has child", "RB": "has a broader", "RN": "has a narrower", "RO": "related to",
    "SY": "synonym of", "RQ": "possible synonym of", "SIB": "has sibling", "RL": "similar to",
    "AQ": "allowed qualifier", "QB": "qualified by",
}  # fmt: skip
"""Relations without a specific label, read from CUI1 to CUI2."""


def find_umls(path: Path) -> list[Path]:
    """Find the files of a folder. Raises ValueError if names or relations are missing."""
    found = {name: packed_or_not(path / name) for name in _FILES}
    missing = [name for name in ("MRCONSO.RRF", "MRREL.RRF") if found[name] is None]
    if missing:
        raise ValueError(f"{path}: expected a folder of UMLS with {' and '.join(missing)}")
    return [file for file in found.values() if file is not None]


def read_umls(path: Path, writer: GraphWriter, problems: Problems, tick: Tick, choices: Choices) -> Account:
    """Read the folder. Uses the option `languages`."""
    graph = Collected()
    wanted = {
        _LANGUAGES.get(tag.lower().partition("-")[0], tag.upper()): rank
        for rank, tag in enumerate(choices.languages)
    }
    files = {name: file for name in _FILES if (file := packed_or_not(path / name)) is not None}
    known: set[str] = set()
    for row in _rows(files["MRCONSO.RRF"], problems, tick):
        cui, language, status, form, preferred, vocabulary, code, name, suppressed = (
            row[place] for place in (0, 1, 2, 4, 6, 11, 13, 14, 16)
        )
        if suppressed in ("O", "E", "Y"):
            graph.account.leave("suppressed names")
        elif language not in wanted:
            graph.account.leave("names in other languages", language)
        else:
            known.add(cui)
            worse = (status != "P") * 4 + (form != "PF") * 2 + (preferred != "Y")
            graph.tell(cui, Role.NAME, name, "MRCONSO", wanted[language] * 8 + worse)
            if code and code != "NOCODE":
                graph.tell(cui, Role.FURTHER_ID, f"{vocabulary}:{code}", vocabulary)
    for table, place, role in (("MRDEF.RRF", 5, Role.DESCRIPTION), ("MRSTY.RRF", 3, Role.TYPE)):
        for row in _rows(files[table], problems, tick) if table in files else ():
            if row[0] in known:
                graph.tell(row[0], role, row[place], table.removesuffix(".RRF"))
    for row in _rows(files["MRREL.RRF"], problems, tick):
        first, relation, second, named, suppressed = (row[place] for place in (0, 3, 4, 7, 14))
        if first == second or suppressed in ("O", "E", "Y"):
            graph.account.leave("relations of a concept with itself, or suppressed", named or relation)
        elif first not in known or second not in known:
            graph.account.leave("relations of concepts without a name", named or relation)
        elif named:
            graph.relation(named, named.replace("_", " "))
            graph.triple(second, named, first, named)
        else:
            graph.relation(relation, _RELATIONS.get(relation, relation))
            graph.triple(first, relation, second, relation)
    return graph.store(writer)


def _rows(file: Path, problems: Problems, tick: Tick) -> Iterator[list[str]]:
    """Yield the rows of a file with the separator `|`, which also ends each row."""
    width = _FILES[file.name.partition(".")[0] + ".RRF"]
    for number, line in read_lines(file, problems, tick):
        try:
            cells = line.decode().rstrip("\r\n").split("|")
            if len(cells) not in (width, width + 1):
                raise ValueError(f"expected {width} columns separated by |, found {len(cells)}")
        except ValueError as error:
            problems.add(file, number, explain(error))
        else:
            yield cells
