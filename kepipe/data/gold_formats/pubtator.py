"""PubTator (`.pubtator`, BioCreative): `PMID|t|title`, `PMID|a|abstract`, then tab-separated `PMID start end name type
id`. Offsets are in characters of the title and the abstract, joined by one character.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kepipe.data.gold_formats.marked import MarkedText, mark, require_same
from kepipe.data.line_readers import text_lines
from kg.problems import Problems

_PASSAGE = re.compile(r"(?P<id>[^|\t]+)\|(?P<part>[ta])\|(?P<text>.*)")


def read_pubtator(file: Path, problems: Problems) -> Iterator[MarkedText]:
    """The articles; invalid lines and relations are skipped."""
    article: dict[str, Any] = {}
    begun = 1
    for number, line in text_lines(file, problems):
        passage = _PASSAGE.fullmatch(line)
        if passage is not None:
            if passage["part"] == "t" or passage["id"] != article.get("id"):
                if article:
                    yield begun, article
                article, begun = {"id": passage["id"], "text": passage["text"], "mentions": []}, number
            else:
                article["text"] += "\n" + passage["text"]
        elif line.strip():
            try:
                cells = line.split("\t")
                if article and cells[0] == article["id"] and len(cells) == 4 and not cells[1].isdecimal():
                    problems.account.leave("relations", cells[1])  # PMID, type, id, id
                else:
                    _add(article, cells)
            except ValueError as error:
                problems.add(file, number, str(error))
    if article:
        yield begun, article


def _add(article: dict[str, Any], cells: list[str]) -> None:
    if not article or cells[0] != article["id"]:
        raise ValueError(f"expected a line of the article {article.get('id')}, found {cells[0][:40]!r}")
    if len(cells) < 5 or not (cells[1].isdecimal() and cells[2].isdecimal()):
        raise ValueError(
            f"expected tab-separated PMID, start, end, name, type and id, found {len(cells)} columns"
        )
    start, end = int(cells[1]), int(cells[2])
    require_same(article["text"], start, end, cells[3])
    id = cells[5].strip() if len(cells) > 5 else ""
    ids = [] if id in ("", "-", "-1") else [id, *re.split(r"[|,;+]", id)]
    ids += [one.partition(":")[2] for one in ids if ":" in one]
    article["mentions"].append(mark(start, end, ids, cells[4]))
