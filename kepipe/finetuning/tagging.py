"""Tagging: a label for each word; F1 is over whole spans with their type.

Formats: TSV files with a header `text_a`, `label`, where words and labels are separated by spaces (K-BERT's); CoNLL
columns (`kepipe.finetuning.conll`), one word and label per line, a blank line after each sentence; and JSON lines with
lists of words and labels, as in Hugging Face's data sets.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from kepipe.arrays import Floats
from kepipe.data.document import Span
from kepipe.data.line_readers import columns, text_lines
from kepipe.finetuning.conll import OUTSIDE, biluo_to_bio, find_layout, is_comment, label_problem
from kepipe.finetuning.examples import Example, Record, from_words, read_records, text_of
from kepipe.finetuning.in_words import GeneratedAnswer, InWords, Word, of_texts
from kepipe.finetuning.label_output import CALIBRATION, calibration, rounded
from kepipe.finetuning.metrics import Metric, f1_of_counts, share
from kepipe.finetuning.output import Labels
from kepipe.finetuning.tag_output import WORDS, TagAnswer
from kepipe.finetuning.task import ParsedMarkup, Task
from kg.problems import Problems

LABEL_KEYS = ("ner_tags", "labels", "tags")
"""Possible keys of the labels in the JSON object of a sentence."""


def read(file: Path, problems: Problems) -> Iterator[Example]:
    """Sentences whose spans are their words."""
    _, first = next(text_lines(file, Problems()), (1, ""))
    if "text_a" in first.split("\t"):
        return _table(file, problems)
    return _conll(file, problems) if _is_conll(first) else read_records(file, problems, _record_of)


def _is_conll(first: str) -> bool:
    """Whether a file is CoNLL rather than JSON, by its first line; a CoNLL line may begin with a bracket but ends with
    a label."""
    ends_with_label = not label_problem((first.split() or [""])[-1])
    return ends_with_label or (not first.lstrip().startswith(("{", "[{")) and first.strip() != "[")


def _table(file: Path, problems: Problems) -> Iterator[Example]:
    for number, cells in columns(file, problems, ["text_a", "label"]):
        words, labels = (list(filter(None, cells[name].split(" "))) for name in ("text_a", "label"))
        if len(words) != len(labels) or not words:
            problems.add(file, number, f"{len(words)} words and {len(labels)} labels: expected one for each")
        elif bad := _bad(labels):
            problems.add(file, number, bad)
        else:
            yield _sentence(words, biluo_to_bio(labels), f"{file.stem}:{number}")


def _record_of(record: Record, id: str) -> Example:
    """`{"tokens": [words], "ner_tags": [labels]}`; the key of the labels may also be `labels` or `tags`."""
    key = next((name for name in LABEL_KEYS if name in record), LABEL_KEYS[0])
    words, labels = record["tokens"], record[key]
    if not isinstance(words, list) or not isinstance(labels, list) or len(words) != len(labels) or not words:
        raise ValueError(f"expected `tokens` and `{key}`, lists of equal length")
    if any(isinstance(label, int) for label in labels):
        raise ValueError(f"`{key}` has numbers: use label names, such as B-PER")
    labels = [text_of(label) for label in labels]
    if bad := _bad(labels):
        raise ValueError(bad)
    return _sentence([text_of(word) for word in words], biluo_to_bio(labels), id)


def _conll(file: Path, problems: Problems) -> Iterator[Example]:
    """Sentences of a CoNLL file, separated by blank lines; a sentence with a bad line is skipped."""
    layout = find_layout(file)
    if layout.label is not None:
        problems.account.take("columns", f"words in the column {layout.word + 1} of {file.name}")
        problems.account.take("columns", f"labels in the column {layout.label + 1} of {file.name}")
        problems.account.leave("columns", file.name, layout.width - 2)
    lines: list[tuple[int, list[str]]] = []
    begun, broken = 1, False
    for number, line in chain(text_lines(file, problems), [(0, "")]):
        if is_comment(line):
            continue
        if not line.strip(" \t") or line.startswith("-DOCSTART-"):
            if lines and not broken:
                words, labels = zip(*(layout.word_and_label(cells) for _, cells in lines), strict=True)
                yield _sentence(words, biluo_to_bio(labels), f"{file.stem}:{begun}")
            lines, begun, broken = [], number + 1, False
            continue
        cells = layout.cells(line)
        bad = layout.problem(cells, line)
        if bad:
            problems.add(file, number, f"{bad}; the sentence is left out")
            broken = True
        else:
            lines.append((number, cells))


def _bad(labels: Sequence[str]) -> str:
    """The first error message for a label; "" if all are valid."""
    return next(filter(None, map(label_problem, labels)), "")


def _sentence(words: Sequence[str], labels: Sequence[str], id: str) -> Example:
    """The example of a sentence: single characters are concatenated, as in Chinese, longer words joined by spaces."""
    if all(len(word) == 1 for word in words):
        spans = tuple(Span(place, place + 1) for place in range(len(words)))
        return Example(id, "".join(words), spans, tuple(labels))
    text, found = from_words(words)
    return Example(id, text, tuple(found), tuple(labels))


def measure(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> dict[str, Metric]:
    """F1, precision and recall of typed spans as in CoNLL's evaluation (by seqeval); a sentence is a case."""
    from seqeval.metrics.sequence_labeling import get_entities

    given, found = ([set(get_entities(list(labels))) for labels in side] for side in (gold, predicted))
    right_N = np.array([len(a & b) for a, b in zip(given, found, strict=True)])
    found_N, given_N = (np.array([len(spans) for spans in side]) for side in (found, given))
    return {
        "span_f1": f1_of_counts(right_N, found_N, given_N),
        "span_precision": share(right_N, found_N),
        "span_recall": share(right_N, given_N),
    }


def tags(examples: Sequence[Example], answers: Sequence[TagAnswer], labels: Labels) -> list[list[str]]:
    """The label of each word; words that were cut off or have no token get O."""
    return [
        [OUTSIDE if number < 0 else labels[number] for number in answer.labels.tolist()]
        + [OUTSIDE] * (len(example.spans) - len(answer.labels))
        for example, answer in zip(examples, answers, strict=True)
    ]


def spans(example: Example, tags: Sequence[str], sure_N: Floats) -> list[dict[str, Any]]:
    """The typed spans of a label sequence; the probability of a span is the lowest of its words."""
    from seqeval.metrics.sequence_labeling import get_entities

    sure = np.append(sure_N, np.ones(len(tags) - len(sure_N)))
    return [
        {
            "start": example.spans[first].start,
            "end": example.spans[last].end,
            "text": example.text[example.spans[first].start : example.spans[last].end],
            "type": kind,
            "probability": rounded(sure[first : last + 1].min()),
        }
        for kind, first, last in get_entities(list(tags))
    ]


def _measure(examples: Sequence[Example], answers: Sequence[TagAnswer], labels: Labels) -> dict[str, Metric]:
    probable = [answer.probabilities for answer in answers]
    return {
        **measure([example.gold for example in examples], tags(examples, answers, labels)),
        **calibration(examples, probable, labels),
    }


def _words(id: str, parsed: ParsedMarkup) -> Example | None:
    if set(parsed.spans) - {""}:
        return None
    return Example(id, parsed.text, parsed.words(), mentions=parsed.mentions)


def _record(example: Example, answer: TagAnswer, labels: Labels) -> dict[str, Any]:
    """The words, their labels, and the typed spans."""
    (predicted,) = tags([example], [answer], labels)
    words = [example.text[span.start : span.end] for span in example.spans]
    sure_N = np.take_along_axis(answer.probabilities, answer.labels[:, None], axis=1)[:, 0]
    return {"predicted": predicted, "words": words, "spans": spans(example, predicted, sure_N)}


def _line(record: Mapping[str, Any]) -> str:
    spans = (f"{span['text']}: {span['type']} {span['probability']:.2f}" for span in record["spans"])
    return ", ".join(spans) or "–"


def conll_block(record: Mapping[str, Any]) -> str:
    """A sentence in CoNLL columns: `# id = …`, then word, gold label (if known) and prediction per line, a blank
    line."""
    columns = [record["words"], *([record["labels"]] if "labels" in record else []), record["predicted"]]
    if len(record["words"]) == 1:  # of one word `labels` is a text
        columns = [[column] if isinstance(column, str) else column for column in columns]
    lines = ["\t".join(row) for row in zip(*columns, strict=True)]
    return "\n".join([f"# id = {record['id']}", *lines, "", ""])


NOTHING = "none"
"""The output for a text without spans."""


def write_spans(example: Example, word: Word) -> str:
    """The gold spans of a sentence as text: "Io (moon); Mars (planet)"."""
    from seqeval.metrics.sequence_labeling import get_entities

    found = get_entities(list(example.gold))
    texts = [
        f"{example.text[example.spans[first].start : example.spans[last].end]} ({word(kind)})"
        for kind, first, last in found
    ]
    return "; ".join(texts) or NOTHING


def read_spans(answer: str, example: Example, kinds: Mapping[str, str]) -> list[str]:
    """The labels of a sentence's words, parsed from a generated answer. `kinds`: word of a type → type.

    If a span is listed twice, its first two occurrences are labelled; text that is not in the sentence, or of unknown
    type, is ignored.
    """
    words = [example.text[span.start : span.end] for span in example.spans]
    labels = [OUTSIDE] * len(words)
    for part in answer.split(";"):
        text, _, kind = part.strip().removesuffix(")").rpartition(" (")
        wanted = "".join(text.split()).casefold()
        if kind not in kinds or not wanted:
            continue
        for first, last in _places(words, wanted):
            if set(labels[first : last + 1]) == {OUTSIDE}:
                labels[first : last + 1] = [f"B-{kinds[kind]}"] + [f"I-{kinds[kind]}"] * (last - first)
                break
    return labels


def _places(words: Sequence[str], wanted: str) -> Iterator[tuple[int, int]]:
    """First and last word index of each run of words whose concatenation is `wanted` (without spaces, case-folded)."""
    for first in range(len(words)):
        joined = ""
        for last in range(first, len(words)):
            joined += "".join(words[last].split()).casefold()
            if joined == wanted:
                yield first, last
            if len(joined) >= len(wanted):
                break


def _measure_written(examples: Sequence[Example], answers: Sequence[str], word: Word) -> dict[str, Metric]:
    types = {label.partition("-")[2] for example in examples for label in example.gold} - {""}
    kinds = {word(kind): kind for kind in types}
    predicted = [
        read_spans(answer, example, kinds) for answer, example in zip(answers, examples, strict=True)
    ]
    return measure([example.gold for example in examples], predicted)


TASK = Task(
    "the label of each word of a sentence",
    read,
    "words",
    _measure,
    "span_f1",
    WORDS,
    as_example=_words,
    as_record=_record,
    as_line=_line,
    as_conll=conll_block,
    metrics=("span_f1", "span_precision", "span_recall", CALIBRATION),
    in_words=InWords(
        "List the names in the text, each with its type.",
        "Text: {text}\nNames: {answer}",
        of_texts,
        GeneratedAnswer(write_spans, _measure_written),
    ),
)
