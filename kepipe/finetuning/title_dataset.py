"""A text-to-text data set from documents with titles: the beginning of a document → its title."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from kepipe.data.document import Document
from kepipe.data.document_files import held_out


class Titled(NamedTuple):
    """A passage of a document, and the document's title. `number`: 0 for the document's first passage."""

    id: str
    number: int
    split: str
    text: str
    title: str


class Lengths(NamedTuple):
    """The most characters of a passage, and the most passages that a document has in `train`."""

    characters: int = 1000
    passages: int = 1


def make_titles(
    documents: Iterable[Document], shares: tuple[float, float], lengths: Lengths
) -> Iterator[Titled]:
    """Passages of the documents that have a title, in order. A document is in one split only.

    `test` has the documents that the corpus holds out, `dev` a share of the others, both chosen by the hash of the id,
    and both with the document's first passage; `train` has up to `lengths.passages` passages of each of the rest.
    Documents whose title an earlier one has (further sections of a very long document, too) are skipped.

    `shares`: the share of documents that the corpus holds out, and of those in `dev`.
    """
    seen: set[str] = set()
    for document in documents:
        title = " ".join(document.title.split())
        if not title or title in seen:
            continue
        seen.add(title)
        split = _split_of(document.id, *shares)
        most = lengths.passages if split == "train" else 1
        for number, text in enumerate(passages(document.text, lengths.characters, most)):
            id = document.id if number == 0 else f"{document.id}#{number + 1}"
            yield Titled(id, number, split, text, title)


def passages(text: str, characters: int, most: int) -> Iterator[str]:
    """Up to `most` consecutive passages of at most `characters`, which end between words if they have any."""
    rest = text.strip()
    for _ in range(most):
        if not rest:
            return
        stop = len(rest)
        if stop > characters:
            last = max(rest.rfind(space, 1, characters + 1) for space in " \n")
            stop = last if last > 0 else characters
        yield rest[:stop].rstrip()
        rest = rest[stop:].lstrip()


def _split_of(id: str, test: float, dev: float) -> str:
    if held_out(id, test):
        return "test"
    return "dev" if held_out(id, test + (1 - test) * dev) else "train"
