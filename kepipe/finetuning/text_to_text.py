"""Text-to-text: summarisation, translation, rewriting, free-text answers.

Formats: TSV files with the columns `text` and `target`, and JSON lines with these keys; JSON lines can have `aliases`,
other correct targets.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from kepipe.data.line_readers import columns
from kepipe.finetuning.examples import Example, Record, mentions_of, read_records, text_of
from kepipe.finetuning.in_words import GeneratedAnswer, InWords, Word, of_texts
from kepipe.finetuning.metrics import Metric
from kepipe.finetuning.output import Labels
from kepipe.finetuning.squad_metrics import exact_match
from kepipe.finetuning.task import Task
from kepipe.finetuning.text_baselines import baseline_answers
from kepipe.finetuning.text_metrics import NAMES, measure_texts
from kepipe.finetuning.text_output import TextOutput
from kg.problems import Problems


def read(file: Path, problems: Problems) -> Iterator[Example]:
    """Texts with their targets."""
    if file.suffix in (".jsonl", ".json"):
        yield from read_records(file, problems, _example)
        return
    for number, cells in columns(file, problems, ["text", "target"]):
        try:
            yield _example(cells, f"{file.stem}:{number}")
        except ValueError as error:
            problems.add(file, number, str(error))


def _example(record: Record, id: str) -> Example:
    text, target = text_of(record["text"]).strip(), text_of(record["target"]).strip()
    for name, value in (("text", text), ("target", target)):
        if not value:
            raise ValueError(f"`{name}` is empty")
    aliases = record.get("aliases", [])
    if not isinstance(aliases, list):
        raise ValueError("`aliases`: expected a list of texts")
    others = (text_of(alias).strip() for alias in aliases)
    labels = tuple(dict.fromkeys((target, *filter(None, others))))
    return Example(str(record.get("id", id)), text, labels=labels, mentions=mentions_of(record))


def measure(examples: Sequence[Example], answers: Sequence[str], _labels: Labels) -> dict[str, Metric]:
    """See `measure_texts`."""
    return measure_texts(answers, [example.gold for example in examples])


def _measure_in_words(examples: Sequence[Example], answers: Sequence[str], _word: Word) -> dict[str, Metric]:
    return measure(examples, answers, ())


def _record(example: Example, answer: str, _labels: Labels) -> dict[str, Any]:
    """The answer; with several correct ones, also whether it is one of them."""
    if len(example.labels or ()) < 2:
        return {"predicted": answer}
    return {"predicted": answer, "right": bool(exact_match(answer, example.gold))}


TASK = Task(
    "what is written of a text",
    read,
    "row",
    measure,
    "rouge_l",
    TextOutput(),
    as_record=_record,
    metrics=NAMES,
    baselines=baseline_answers,
    in_words=InWords(
        "",
        "{text}\n{answer}",
        of_texts,
        GeneratedAnswer(lambda example, _word: example.gold[0], _measure_in_words),
    ),
)
