"""Facts as sentences: templates for each relation, made from its label or given in a file.

`[X]` stands for the subject and `[Y]` for the object, as in the probes LAMA and ParaRel: `[X] was born in [Y].`
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from kg.names_only import NAMED
from kg.regular_files import parse_json, read_text
from kg.schema import Relation
from kg.store import Graph

SUBJECT, OBJECT = "[X]", "[Y]"

_HAN = re.compile(r"[\u3400-\u9fff]")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_PREPOSITION = re.compile(
    "about|after|as|at|by|for|from|in|into|of|on|over|to|under|upon|via|with|within",
)
_AUXILIARY = re.compile("has|have|had|is|are|was|were|can|may")
_ARTICLE = re.compile("the|a|an")
_IRREGULAR_PARTICIPLE = re.compile(
    "born|built|done|drawn|driven|fought|found|given|grown|held|hidden|kept|known|laid|led|left|lost|made|met|seen"
    "|sent|set|sold|spoken|struck|sung|taken|taught|told|won|worn|written"
)
_CHINESE_VERB = re.compile(".*[于在为是自到有含成]")


class Statement(NamedTuple):
    """A fact in words, and the character spans of its subject and object."""

    text: str
    subject: tuple[int, int]
    object: tuple[int, int]


@dataclass(frozen=True)
class Template:
    """A sentence with `[X]` and `[Y]` once each, in any order. Raises ValueError otherwise."""

    text: str

    def __post_init__(self) -> None:
        for slot in (SUBJECT, OBJECT):
            if self.text.count(slot) != 1:
                raise ValueError(f"expected {slot} once in the template {self.text!r}")

    def state(self, subject: str, object: str) -> Statement:
        """The template with both names in it."""
        values = {SUBJECT: subject, OBJECT: object}
        first, second = sorted(values, key=self.text.index)
        before, _, rest = self.text.partition(first)
        between, _, after = rest.partition(second)
        start = len(before)
        places = {first: (start, start + len(values[first]))}
        start = places[first][1] + len(between)
        places[second] = (start, start + len(values[second]))
        text = f"{before}{values[first]}{between}{values[second]}{after}"
        return Statement(text, places[SUBJECT], places[OBJECT])


Templates = Sequence[tuple[Template, ...]]
"""The templates of each relation of a graph, by its row: at least one each."""


def templates_of(graph: Graph, given: Path | Mapping[str, Sequence[str]] | None = None) -> Templates:
    """The templates of a graph's relations: those `given`, and made from labels elsewhere.

    `given`: by relation id; in a file (`read_templates`); or in a folder (`read_pararel`), which may have more
    relations than the graph. Raises ValueError for other templates of an unknown relation, and for an invalid template.
    """
    is_folder = isinstance(given, Path) and given.is_dir()
    own = _read(given) if isinstance(given, Path) else _parse(given or {})
    unknown = set() if is_folder else own.keys() - {relation.id for relation in graph.relations}
    if unknown:
        place = f"{given}" if isinstance(given, Path) else "templates"
        raise ValueError(
            f"{place}: the graph has no relation {min(unknown)!r}; `kepipe graph describe` lists those it has"
        )
    return [own.get(relation.id) or (from_label(relation),) for relation in graph.relations]


def _read(place: Path) -> Mapping[str, tuple[Template, ...]]:
    return read_pararel(place) if place.is_dir() else read_templates(place)


def _parse(given: Mapping[str, Sequence[str]]) -> Mapping[str, tuple[Template, ...]]:
    return {relation: tuple(Template(text) for text in texts) for relation, texts in given.items()}


def read_templates(file: Path) -> Mapping[str, tuple[Template, ...]]:
    """Relation → its templates, from a table without a header: the relation's id, TAB, a template.

    Several lines with one relation are paraphrases. Empty lines, and lines that begin with `#`, are skipped. Raises
    ValueError, with the line number, for any other line.
    """
    templates: dict[str, list[Template]] = defaultdict(list)
    for number, line in enumerate(read_text(file).splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        relation, tab, text = line.partition("\t")
        try:
            if not tab:
                raise ValueError(f"expected a relation, TAB, and a template with {SUBJECT} and {OBJECT}")
            templates[relation.strip()].append(Template(text.strip()))
        except ValueError as error:
            raise ValueError(f"{file}, line {number}: {error}") from None
    return {relation: tuple(of_relation) for relation, of_relation in templates.items()}


def read_pararel(folder: Path) -> Mapping[str, tuple[Template, ...]]:
    """Relation → its templates, in the format of ParaRel (Elazar et al. 2021): one file `P19.jsonl` per relation of
    Wikidata, with lines `{"pattern": "[X] was born in [Y]."}`.

    Raises ValueError, with the line number, for an invalid line, and for a folder without such files.
    """
    templates: dict[str, tuple[Template, ...]] = {}
    for file in sorted(folder.glob("P*.jsonl")):
        patterns = []
        for number, line in enumerate(read_text(file).splitlines(), 1):
            try:
                patterns.append(Template(str(parse_json(line)["pattern"]).strip()))
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(
                    f'{file}, line {number}: expected {{"pattern": "… [X] … [Y]"}} ({error})'
                ) from None
        if patterns:
            templates[file.stem] = tuple(patterns)
    if not templates:
        raise ValueError(f"{folder}: expected ParaRel's patterns: files such as P19.jsonl, one per relation")
    return templates


def from_label(relation: Relation) -> Template:
    """A template from a relation's label, or from its id if it has none.

    Nouns: `capital` → `The capital of [X] is [Y].`, `首都` → `[X]的首都是[Y]。`. Labels that take an object keep their
    order: `educated at` → `[X] is educated at [Y].`, `member of` → `[X] is a member of [Y].`, `shares border with` →
    `[X] shares border with [Y].`, `位于` → `[X]位于[Y]。`. Labels in other languages are treated as English nouns.
    """
    if relation == NAMED:
        return Template(f"{SUBJECT}: {OBJECT}.")
    words = _words(relation.label or relation.id)
    if _HAN.search(words):
        joined = words if _CHINESE_VERB.fullmatch(words) else f"的{words}是"
        return Template(f"{SUBJECT}{joined}{OBJECT}。")
    return Template(f"{_english(words)}.")


def _words(label: str) -> str:
    """A label as words: `/people/person/place_of_birth` and `placeOfBirth` → `place of birth`."""
    if " " not in label:
        label = re.split(r"[/#]", label.rstrip("/#"))[-1] or label
        label = _CAMEL.sub(" ", label.replace("_", " "))
        acronyms = not label.isupper() or len(label) <= 3
        label = " ".join(word if acronyms and word.isupper() else word.lower() for word in label.split())
    return label.replace(SUBJECT, "X").replace(OBJECT, "Y").strip(" .") or "relation"


def _english(words: str) -> str:
    """The sentence of an English label, without its full stop."""
    first, *others = words.lower().split()
    last = others[-1] if others else ""
    verb = first.endswith("s") and not first.endswith(("ss", "us", "is"))
    if _AUXILIARY.fullmatch(first) or (verb and (not others or _ARTICLE.fullmatch(others[0]))):
        return f"{SUBJECT} {words} {OBJECT}"  # has part, uses the currency, causes
    if not others and first.endswith("ed"):
        return f"{SUBJECT} {words} {OBJECT}"  # directed
    if not _PREPOSITION.fullmatch(last):
        return f"The {words} of {SUBJECT} is {OBJECT}"
    if verb:
        return f"{SUBJECT} {words} {OBJECT}"  # shares border with, consists of
    participle = first.endswith("ed") or _IRREGULAR_PARTICIPLE.fullmatch(first)
    if last != "of" or participle or first == "part" or _PREPOSITION.fullmatch(first):
        return f"{SUBJECT} is {words} {OBJECT}"  # educated at, in the state of, composed of
    article = "an" if first[0] in "aeiou" else "a"
    return f"{SUBJECT} is {article} {words} {OBJECT}"
