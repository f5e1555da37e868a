"""The output of WikiExtractor (`wiki_00`, …): articles in `<doc id= url= title=>` … `</doc>`, or JSON lines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from itertools import chain, islice

from kepipe.data.document import Document
from kepipe.data.text_formats.records import json_documents
from kepipe.data.text_formats.text_file import TextFile
from kg.problems import Problems

_OPENING = re.compile(r'<doc\b(?=[^>]*\bid="(?P<id>[^"]*)")(?:[^>]*\btitle="(?P<title>[^"]*)")?[^>]*>')


def read_wiki_extractor(file: TextFile, problems: Problems) -> Iterator[Document]:
    """One document per article; articles without text, such as redirects, are skipped and counted."""
    lines = ((number, line) for number, line in file.lines(problems) if line.strip())
    first = list(islice(lines, 1))
    everything = chain(first, lines)
    if first and first[0][1].lstrip().startswith("{"):
        yield from json_documents(file, everything, problems, empty_is_bad=False)
        return
    article: re.Match[str] | None = None
    begun, paragraphs, empty = 0, list[str](), 0
    for number, line in everything:
        if opening := _OPENING.match(line.strip()):
            if article is not None:
                file.problem(problems, begun, "this <doc> has no </doc>")
            article, begun, paragraphs = opening, number, []
        elif line.strip() == "</doc>" and article is not None:
            title = unescape(article["title"] or "")
            text = "\n".join(paragraphs[paragraphs[:1] == [title] :]).strip()
            if text:
                yield Document(id=article["id"] or f"{file.id}:{begun}", text=text, title=title)
            empty += not text
            article = None
        elif article is None:
            file.problem(problems, number, f'expected <doc id="…" title="…">, found {line[:40]!r}')
        else:
            paragraphs.append(unescape(line.strip()))
    if article is not None:
        file.problem(problems, begun, "this <doc> has no </doc>")
    if empty:
        file.account.leave("articles without text, as redirects are", count=empty)
