"""Wikipedia articles from a dump in XML (`pages-articles.xml`, plain or bz2); gensim's wheel carries a sample."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from xml.etree import ElementTree

from kepipe.data.document import Document
from kepipe.data.sources.wikitext import convert
from kepipe.flow.source_digests import digest_source
from kepipe.worker_processes import end_with_parent
from kg.sources.reading import open_bytes

if TYPE_CHECKING:
    from kepipe.data.sources.table import Reading

_SAMPLE = "test/test_data/enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2"


class Page(NamedTuple):
    """An article's markup."""

    id: str
    title: str
    wikitext: str


def sample_file() -> Path:
    """The dump in gensim's wheel: 106 articles. Raises ValueError if gensim is not installed."""
    found = importlib.util.find_spec("gensim")
    file = Path(found.origin).parent / _SAMPLE if found and found.origin else Path(_SAMPLE)
    if not file.exists():
        raise ValueError("the Wikipedia sample comes with gensim: pip install 'gensim>=4.3'")
    return file


def sample_digests() -> dict[str, str]:
    """The digest of the sample's file."""
    return {sample_file().name: digest_source(sample_file())}


def read_sample(reading: Reading) -> Iterator[Document]:
    """The sample's articles. Parsing markup takes most of the time, so it is done in parallel processes."""
    from joblib import Parallel, delayed

    pages = list(islice(read_pages(sample_file()), reading.limit))
    run = Parallel(n_jobs=-1, return_as="generator", backend="loky", initializer=end_with_parent)
    with reading.progress("parsing Wikipedia", len(pages), "documents") as tick:
        for document in run(delayed(to_document)(page) for page in pages):
            tick(1)
            if document.text:
                yield document


def read_pages(dump: Path) -> Iterator[Page]:
    """Stream the articles (namespace 0, no redirects) of a dump."""
    with open_bytes(dump, lambda _: None) as stream:
        for _, element in ElementTree.iterparse(stream):
            if not element.tag.endswith("}page"):
                continue
            here = element.tag.removesuffix("page")
            wikitext = element.findtext(f"{here}revision/{here}text") or ""
            if element.findtext(f"{here}ns") == "0" and element.find(f"{here}redirect") is None and wikitext:
                yield Page(
                    element.findtext(f"{here}id") or "", element.findtext(f"{here}title") or "", wikitext
                )
            element.clear()


def to_document(page: Page) -> Document:
    """The article as text; `gold`: its link anchors, whose entity is the title of the linked page."""
    text, anchors = convert(page.wikitext)
    return Document(id=f"enwiki:{page.id}", text=text, title=page.title, gold=anchors)
