"""Gold sets: texts with manually annotated mentions, and the span of each text that was annotated.

One JSON object per line (other formats: `kepipe.data.gold_formats`): `{"id", "text", "mentions": [{"start", "end",
"entity", "type"}, …], "evaluation_span": [start, end], "domain": "news"}`; `gold` may be used instead of `mentions`,
without `evaluation_span` the whole text counts, and `domain` is optional.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kepipe.data.document import Document
from kepipe.data.document_files import from_record
from kepipe.data.gold_formats.offsets import MarkedOffsets, check_offsets
from kepipe.data.gold_formats.table import format_of
from kepipe.data.line_readers import json_lines
from kepipe.linking.decision.pronouns import PRONOUN
from kepipe.linking.kb.links import NIL, Link
from kg.problems import Problems
from kg.regular_files import open_regular
from kg.store import open_graph


@dataclass(frozen=True)
class GoldText:
    """A document, its annotated characters `begin`..`end`, and the gold links inside, in order.

    `kinds`: the type of each link, "" if none. The row of a link is NIL if its entity is not in the graph. `domain`:
    that of the text, "" if not stated.
    """

    document: Document
    begin: int
    end: int
    links: tuple[Link, ...]
    kinds: tuple[str, ...]
    domain: str = ""


@dataclass(frozen=True)
class EntityIds:
    """Maps the ids of a gold set to rows of a graph: the graph's own ids, and `others` (other id → own id)."""

    rows: Mapping[str, int]
    others: Mapping[str, str]

    @classmethod
    def read(cls, own: Iterable[str], source: str | None = None) -> EntityIds:
        """`own`: the graph's ids by row. `source` maps other ids: `entities.jsonl:qid` (a key of a JSONL file that also
        has `id`), a TSV file of other id TAB id, or the folder of a stored graph with additional ids.

        Raises ValueError naming file and line if that cannot be read.
        """
        rows = {id: row for row, id in enumerate(own)}
        if source is None:
            return cls(rows, {})
        if (Path(source) / "graph.json").is_file():
            graph = open_graph(Path(source))
            further: dict[str, str] = {}
            for other, row in graph.further_ids():
                further.setdefault(other, graph.ids[row])
            return cls(rows, further)
        name, colon, key = source.rpartition(":")
        if not colon:
            name, key = source, ""
        if not Path(name).is_file():
            raise ValueError(f"{name}: no such file; give other ids as FILE.jsonl:KEY or FILE.tsv")
        pairs = _read_jsonl(Path(name), key) if key else _read_tsv(Path(name))
        others: dict[str, str] = {}
        for other, id in pairs:
            others.setdefault(other, id)
        return cls(rows, others)

    def row(self, id: str) -> int:
        """The row of an entity, NIL if it is not in the graph."""
        return self.rows.get(self.others.get(id, id), NIL)

    def row_of_any(self, names: Iterable[str]) -> int:
        """The row of an entity with several ids: that of the first known id, NIL if none is known."""
        return next((row for name in names if (row := self.row(name)) != NIL), NIL)

    def name_kind(self, kind: str, labels: Sequence[str]) -> str:
        """One or several types ("Q5|Q215627"), with ids that are entities of the graph replaced by their labels."""
        rows = ((part, self.row(part)) for part in kind.split("|"))
        return ", ".join(part if row == NIL else labels[row] for part, row in rows)


def _read_jsonl(file: Path, key: str) -> Iterator[tuple[str, str]]:
    for number, record in json_lines(file, Problems(strict=True)):
        try:
            own, other = record["id"], record.get(key)
        except (KeyError, TypeError, AttributeError):
            raise ValueError(f"{file}:{number}: expected a JSON object with `id` and `{key}`") from None
        if other:
            yield str(other), str(own)


def _read_tsv(file: Path) -> Iterator[tuple[str, str]]:
    with io.TextIOWrapper(open_regular(file), encoding="utf-8") as stream:
        for number, line in enumerate(stream, start=1):
            other, tab, own = line.rstrip("\n").partition("\t")
            if not tab or "\t" in own:
                raise ValueError(f"{file}:{number}: expected two columns, other id TAB id of the graph")
            yield other, own


def read_gold(file: Path, ids: EntityIds, problems: Problems | None = None) -> list[GoldText]:
    """The texts of a gold set.

    Bad lines are added to `problems`; if it is None, the first one raises ValueError. `problems.account` counts the
    texts by format, and the used and unused annotations.
    """
    if not (file.is_file() or (file.is_dir() and any(file.rglob("*.ann")))):
        raise ValueError(
            f"{file}: no such file; a gold set is a file with one JSON object per line, or in another format"
        )
    problems = Problems(strict=True) if problems is None else problems
    account = problems.account
    format, texts = format_of(file), list[GoldText]()
    marks: list[MarkedOffsets] = []
    for number, record in format.read(file, problems):
        with suppress(TypeError, KeyError, AttributeError):  # a malformed record, reported below
            places = record.get("gold") or record.get("mentions") or ()
            marks.append(MarkedOffsets(record["text"], [(one["start"], one["end"]) for one in places]))
        try:
            text = _gold_text(record, f"{file.stem}:{number}", ids)
        except ValueError as error:
            problems.add(file, number, str(error))
            continue
        texts.append(text)
        account.take("texts", format.name)
        for link in text.links:
            account.take(
                "marks", "of entities that the graph lacks" if link.row == NIL else "of its entities"
            )
        given = len(text.document.gold or text.document.mentions)
        account.leave("marks within others, or outside of what was annotated", count=given - len(text.links))
    if (wrong := check_offsets(marks)) is not None:
        problems.add(file, 0, wrong)
    return texts


def _gold_text(record: Any, default_id: str, ids: EntityIds) -> GoldText:
    document = from_record(record, default_id)
    given = "gold" if record.get("gold") else "mentions"
    begin, end = evaluation_span(record, len(document.text))
    marked = sorted(
        zip(document.gold or document.mentions, record.get(given) or (), strict=True),
        key=lambda pair: (pair[0].start, -pair[0].end),
    )
    links: list[Link] = []
    kinds: list[str] = []
    for mention, fields in marked:
        inside = begin <= mention.start and mention.end <= end
        if inside and not (
            links and mention.start < links[-1].end
        ):  # of nested mentions the outer one counts
            links.append(
                Link(
                    mention.start, mention.end, ids.row_of_any([mention.entity, *fields.get("entities", ())])
                )
            )
            kinds.append(str(fields.get("type") or ""))
    return GoldText(document, begin, end, tuple(links), tuple(kinds), str(record.get("domain") or ""))


def evaluation_span(record: Mapping[str, Any], length: int) -> tuple[int, int]:
    """The annotated characters of a text. Raises ValueError for an invalid span."""
    span = record.get("evaluation_span")
    if span is None:
        return 0, length
    if not (isinstance(span, list) and len(span) == 2 and all(type(end) is int for end in span)):
        raise ValueError(f"`evaluation_span`: expected [start, end], found {span!r}")
    if not 0 <= span[0] <= span[1] <= length:
        raise ValueError(f"`evaluation_span`: {span} is not within a text of {length} characters")
    return span[0], span[1]


def marks_pronouns(texts: Iterable[GoldText]) -> bool:
    """Whether most personal pronouns (he, she, …) are marked."""
    marked = total = 0
    for text in texts:
        spans = {link[:2] for link in text.links}
        for pronoun in PRONOUN.finditer(text.document.text, text.begin, text.end):
            total += 1
            marked += pronoun.span() in spans
    return 2 * marked > total


def require_known(texts: Sequence[GoldText], name: str) -> None:
    """Raise ValueError if no gold link has an entity of the graph: most likely the gold set uses other ids."""
    if not any(text.links for text in texts):
        raise ValueError(f"{name}: no mention is annotated in its {len(texts):,} texts")
    links = [link for text in texts for link in text.links]
    if not any(link.row >= 0 for link in links):
        raise ValueError(
            f"{name}: none of the {len(links):,} annotated entities is in the graph; if the gold set uses other ids, "
            "give a file that maps them to the graph's: --ids entities.jsonl:qid"
        )
