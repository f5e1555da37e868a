"""The table of gold set formats, which are detected by the name or the first bytes of a file."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kepipe.data.gold_formats.aida import read_aida
from kepipe.data.gold_formats.brat import read_brat
from kepipe.data.gold_formats.json_lines import read_blink, read_doccano, read_elevant, read_own
from kepipe.data.gold_formats.label_studio import read_label_studio
from kepipe.data.gold_formats.marked import MarkedText
from kepipe.data.gold_formats.pubtator import read_pubtator
from kg.problems import Problems
from kg.regular_files import open_regular

_LOOKED_AT = 1 << 16


@dataclass(frozen=True)
class GoldFormat:
    """A row: the name, a description, the reader, and how files are recognised."""

    name: str
    about: str
    read: Callable[[Path, Problems], Iterator[MarkedText]]
    beginning: re.Pattern[bytes] | None = None


_BRAT = GoldFormat("brat", "a folder of `.txt` and `.ann` files", read_brat)
_OWN = GoldFormat("kepipe", "JSON lines with `gold`, or otherwise `mentions`", read_own)
FORMATS = (
    _BRAT,
    GoldFormat(
        "pubtator", "`PMID|t|…`, `PMID|a|…`, tab-separated annotations", read_pubtator,
        re.compile(rb"\A\s*[^|\s]+\|[ta]\|"),
    ),
    GoldFormat(
        "aida", "AIDA-CoNLL-YAGO, tab-separated columns", read_aida,
        re.compile(rb"\A\s*-DOCSTART-|\A[^\t\n{]+\t[BI]\t"),
    ),
    GoldFormat(
        "label-studio", "the export as JSON", read_label_studio,
        re.compile(rb'\A\s*[\[{].*"(?:annotations|completions)"\s*:\s*\[', re.DOTALL),
    ),
    GoldFormat("elevant", "JSON lines with `labels` of spans", read_elevant, re.compile(rb'"labels"\s*:\s*\[\s*\{')),
    GoldFormat("blink", "JSON lines with `context_left`, `mention`", read_blink, re.compile(rb'"context_left"\s*:')),
    GoldFormat(
        "doccano", "JSON lines with `label` or `entities`", read_doccano,
        re.compile(rb'"labels?"\s*:\s*\[\s*\[|"start_offset"\s*:'),
    ),
    _OWN,
)  # fmt: skip
"""The formats; the first match is used, or the last one if none matches."""


def format_of(path: Path) -> GoldFormat:
    """The format of a file or a folder."""
    if path.is_dir() or path.suffix.lower() == ".ann":
        return _BRAT
    with open_regular(path) as stream:
        start = stream.read(_LOOKED_AT).removeprefix(b"\xef\xbb\xbf")
    return next((row for row in FORMATS if row.beginning is not None and row.beginning.search(start)), _OWN)
