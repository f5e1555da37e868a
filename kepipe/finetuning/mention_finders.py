"""Sources of the entity mentions in a task's texts: the data, a linker, or the names of a graph."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import repeat
from pathlib import Path
from typing import Literal, Protocol

from kepipe.data.document import Mention
from kepipe.finetuning.examples import Example
from kepipe.linking import LINKER

Source = Literal["data", "linker", "names", "none"]
Language = Literal["en", "zh"]


class Finder(Protocol):
    """Finds the entity mentions of texts."""

    def find(self, texts: Sequence[str]) -> Iterator[tuple[Mention, ...]]: ...


class LinkerFinder:
    """Mentions by a linker (`linker/` of a stage `link`), with the rule-based annotator."""

    def __init__(self, folder: Path, language: Language) -> None:
        from kepipe.linking.linker import Linker
        from kepipe.linking.text.annotators import make_annotator

        self._linker = Linker.open(folder)
        self._annotator = make_annotator(language, None)

    def find(self, texts: Sequence[str]) -> Iterator[tuple[Mention, ...]]:
        untitled = repeat("", len(texts))
        return self._linker.link_all(zip(texts, untitled, self._annotator.annotate(texts), strict=True))


class NameFinder:
    """Mentions by exact match of the names of a graph's entities, longest match first."""

    def __init__(self, graph: Path, language: Language) -> None:
        from kepipe.knowledge.name_matcher import Dictionary
        from kg.store import open_graph

        self._dictionary = Dictionary(open_graph(graph), words=language == "zh")

    def find(self, texts: Iterable[str]) -> Iterator[tuple[Mention, ...]]:
        return (self._dictionary.find(text) for text in texts)


def language_of(texts: Iterable[str]) -> Language:
    """ "zh" if any text has a Chinese character, else "en"."""
    return "zh" if any("\u4e00" <= char <= "\u9fff" for text in texts for char in text) else "en"


def finder_for(folder: Path, linker: Path | None, graph: Path | None, language: Language) -> Finder | None:
    """The finder for a model folder: by `linker` or by the names of `graph` if given, else by the folder's own linker
    or the names of its own graph."""
    from kepipe.knowledge.opening import carried

    if linker is None and graph is None and (folder / LINKER).exists():
        linker = folder / LINKER
    return make_finder(linker, graph or carried(folder).get("graph"), language)


def make_finder(linker: Path | None, graph: Path | None, language: Language) -> Finder | None:
    """A finder by the linker if given, else by the names of the graph; None if neither is given."""
    if linker is not None:
        return LinkerFinder(linker, language)
    return None if graph is None else NameFinder(graph, language)


def with_mentions(examples: Sequence[Example], finder: Finder) -> list[Example]:
    """The examples with mentions found by `finder` in place of those of the data."""
    first = finder.find([example.text for example in examples])
    second = finder.find([example.second for example in examples])
    return [
        replace(example, mentions=named, second_mentions=also)
        for example, named, also in zip(examples, first, second, strict=True)
    ]
