"""Entity linking: the mentions of a graph's entities in a text, and which entity each one means.

Formats: documents as `kepipe link` writes them (JSON lines with `mentions`), and gold sets with all their mentions
marked, in any format of `kepipe.data.gold_formats`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from kepipe.data.document import Mention, Span
from kepipe.data.document_files import from_record
from kepipe.data.gold_formats.table import format_of
from kepipe.finetuning.conll import OUTSIDE
from kepipe.finetuning.entity_index import ENTITY_INDEX
from kepipe.finetuning.examples import Example
from kepipe.finetuning.label_output import rounded
from kepipe.finetuning.link_output import LABELS, LinkAnswer, LinkOutput
from kepipe.finetuning.metrics import Metric, f1_of_counts, share
from kepipe.finetuning.output import Labels
from kepipe.finetuning.task import ParsedMarkup, Task
from kepipe.linking.evaluation.goldset import evaluation_span
from kg.problems import Problems

_WORD = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]|[^\W\u3400-\u9fff\uf900-\ufaff]+|[^\w\s]")
"""A Chinese character, a run of other letters and digits, a punctuation mark."""


def read(file: Path, problems: Problems) -> Iterator[Example]:
    """The texts of a file, with their mentions as `links`, and the label of each word."""
    for number, record in format_of(file).read(file, problems):
        try:
            yield _example(record, f"{file.stem}:{number}")
        except ValueError as error:
            problems.add(file, number, str(error))


def _example(record: Any, id: str) -> Example:
    """The annotated part of a document; of nested mentions the outer one."""
    document = from_record(record, id)
    begin, end = evaluation_span(record, len(document.text))
    links: list[Mention] = []
    marked = document.gold or document.mentions
    for mention in sorted(marked, key=lambda mention: (mention.start, -mention.end)):
        inside = begin <= mention.start and mention.end <= end
        if inside and not (links and mention.start - begin < links[-1].end):
            links.append(replace(mention, start=mention.start - begin, end=mention.end - begin))
    text = document.text[begin:end]
    spans = words(text)
    return Example(document.id, text, spans, tuple(_labels(spans, links)), links=tuple(links))


def words(text: str) -> tuple[Span, ...]:
    """The words of a text."""
    return tuple(Span(*found.span()) for found in _WORD.finditer(text))


def _labels(spans: Sequence[Span], links: Sequence[Mention]) -> list[str]:
    """The label of each word: B and I in a mention."""
    labels = [OUTSIDE] * len(spans)
    starts, ends = np.array(spans, np.int64).reshape(-1, 2).T
    for link in links:
        first = int(np.searchsorted(ends, link.start, "right"))
        stop = int(np.searchsorted(starts, link.end))
        labels[first:stop] = [LABELS[0], *[LABELS[1]] * (stop - first - 1)][: stop - first]
    return labels


def _measure(examples: Sequence[Example], answers: Sequence[LinkAnswer], labels: Labels) -> dict[str, Metric]:
    """Links count by exact span and entity, recall over those whose entity is in the graph; mentions by their span."""
    links, mentions, found = [], [], []
    for example, answer in zip(examples, answers, strict=True):
        given = {(m.start, m.end, m.entity) for m in example.links if answer.index.knows(m.entity)}
        linked = {(m["start"], m["end"], m["entity"]) for m in mentions_of(example, answer)}
        links.append((len(given & linked), len(linked), len(given)))
        marked = {(link.start, link.end) for link in example.links}
        tagged = _tagged(example, answer, labels)
        mentions.append((len(marked & tagged), len(tagged), len(marked)))
        found.append((answer.found, len(given)))
    links_N3, mentions_N3, found_N2 = (np.array(table) for table in (links, mentions, found))
    return {
        "link_f1": f1_of_counts(*links_N3.T),
        "link_precision": share(*links_N3.T[:2]),
        "link_recall": share(*links_N3.T[::2]),
        "mention_f1": f1_of_counts(*mentions_N3.T),
        "candidate_recall": share(*found_N2.T),
    }


def tags(example: Example, answer: LinkAnswer, labels: Labels) -> list[str]:
    """The label of each word; words that were not read get O."""
    read = [OUTSIDE if number < 0 else labels[number] for number in answer.labels.tolist()]
    return read + [OUTSIDE] * (len(example.spans) - len(read))


def _tagged(example: Example, answer: LinkAnswer, labels: Labels) -> set[tuple[int, int]]:
    """The characters of the mentions by labels."""
    from seqeval.metrics.sequence_labeling import get_entities

    return {
        (example.spans[first].start, example.spans[last].end)
        for _, first, last in get_entities(tags(example, answer, labels))
    }


def mentions_of(example: Example, answer: LinkAnswer) -> list[dict[str, Any]]:
    """The links as mentions of a document, with their text."""
    found = []
    for link in answer.links:
        start, end = example.spans[link.first].start, example.spans[link.last].end
        found.append(
            {
                "start": start,
                "end": end,
                "entity": link.entity,
                "score": rounded(link.score),
                "text": example.text[start:end],
            }
        )
    return found


def _record(example: Example, answer: LinkAnswer, labels: Labels) -> dict[str, Any]:
    """The label of each word, and the mentions."""
    return {"predicted": tags(example, answer, labels), "mentions": mentions_of(example, answer)}


def _line(record: Mapping[str, Any]) -> str:
    links = (f"{m['text']}: {m['entity']} {m['score']:.2f}" for m in record["mentions"])
    return ", ".join(links) or "–"


def _as_example(id: str, parsed: ParsedMarkup) -> Example | None:
    return None if set(parsed.spans) - {""} else Example(id, parsed.text, words(parsed.text))


TASK = Task(
    "which entities of a graph a text mentions",
    read,
    "words",
    _measure,
    "link_f1",
    LinkOutput(),
    as_example=_as_example,
    as_record=_record,
    as_line=_line,
    metrics=("link_f1", "link_precision", "link_recall", "mention_f1", "candidate_recall"),
    resource=ENTITY_INDEX,
    in_windows=True,
    of_linked=True,
)
