"""Extractive question answering: the answer is a span of a text, or there is none (SQuAD 1.1 and 2.0).

Formats: SQuAD's JSON (`{"data": [{"paragraphs": [{"context", "qas": [{"id", "question", "answers"}]}]}]}`) and JSON
lines `{"question", "context", "answers"}`; answers are `[{"text", "answer_start"}]`, or `{"text": […], "answer_start":
[…]}` as in Hugging Face's data sets. An empty list: the question has no answer in the text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kepipe.data.document import Span
from kepipe.data.user_json import valid_records
from kepipe.finetuning.calibration import calibration_error
from kepipe.finetuning.classification import pair_of_texts
from kepipe.finetuning.examples import Example, Record, mentions_of, read_records, text_of
from kepipe.finetuning.in_words import GeneratedAnswer, InWords, Word, of_texts
from kepipe.finetuning.label_output import CALIBRATION, rounded
from kepipe.finetuning.metrics import Metric, mean, share
from kepipe.finetuning.output import Labels
from kepipe.finetuning.span_output import SpanAnswer, SpanOutput
from kepipe.finetuning.squad_metrics import answer_words, exact_match, token_f1
from kepipe.finetuning.task import Task
from kg.problems import Problems
from kg.regular_files import LONGEST_LINE, JsonError, open_regular, parse_json, read_small

UNANSWERABLE = "unanswerable"
"""The output for a question without an answer."""


def read(file: Path, problems: Problems) -> Iterator[Example]:
    """Questions, their texts and answers."""
    found = _squad(file)
    if found is None:
        yield from read_records(file, problems, _example)
        return
    articles, text = found

    def skip(number: int, message: str) -> None:
        problems.add(file, number, f"question {number}: {message}")

    for number, record in valid_records(_questions(articles), skip, text):
        try:
            yield _example(record, f"{file.stem}:{number}")
        except KeyError as missing:
            skip(number, f"`{missing.args[0]}` is missing")
        except (ValueError, TypeError, IndexError) as error:
            skip(number, str(error))


def _squad(file: Path) -> tuple[list[Any], str] | None:
    """The articles of a file in SQuAD's format, and its text; None for another format. Raises ValueError for invalid
    JSON."""
    with open_regular(file) as stream:
        begins = "".join(stream.read(4096).decode("utf-8", "replace").split())
    if file.suffix == ".jsonl" or not begins.lstrip("\ufeff").startswith("{"):
        return None
    try:
        text = read_small(file, LONGEST_LINE).decode("utf-8-sig")
        content = parse_json(text)
    except JsonError as error:
        if '"question"' in begins:  # JSON lines by another name
            return None
        raise ValueError(f"{file}:{error.line}: {error}") from None
    articles = content.get("data") if isinstance(content, dict) else None
    return (articles, text) if isinstance(articles, list) else None


def _questions(articles: Sequence[Any]) -> Iterator[Record]:
    for article in articles:
        for paragraph in article["paragraphs"]:
            for asked in paragraph["qas"]:
                yield {**asked, "context": paragraph["context"]}


def _example(record: Record, id: str) -> Example:
    question, context = text_of(record["question"]).strip(), text_of(record["context"])
    if not question or not context.strip():
        raise ValueError("`question` or `context` is empty")
    spans = dict.fromkeys(_spans(record, context))
    return Example(
        str(record.get("id", id)),
        question,
        labels=tuple(dict.fromkeys(context[span.start : span.end] for span in spans)),
        second=context,
        second_mentions=mentions_of({"text": context, "mentions": record.get("mentions", ())}),
        answers=tuple(spans),
    )


def _spans(record: Record, context: str) -> Iterator[Span]:
    """The character spans of the answers. Raises ValueError if the text differs at that offset."""
    answers = record["answers"]
    if isinstance(answers, Mapping):
        pairs = list(zip(answers["text"], answers["answer_start"], strict=True))
    else:
        pairs = [(answer["text"], answer["answer_start"]) for answer in answers]
    for text, start in [] if record.get("is_impossible") else pairs:
        if not isinstance(start, int) or start < 0 or context[start : start + len(text)] != text or not text:
            raise ValueError(f"the answer {text!r} is not at character {start} of the context")
        yield Span(start, start + len(text))


def measure(answers: Sequence[str], golds: Sequence[Sequence[str]]) -> dict[str, Metric]:
    """Exact match and token F1 as in SQuAD's script; if some questions have no answer, also the F1 of questions with
    and without an answer."""
    exact_N = np.array([exact_match(answer, gold) for answer, gold in zip(answers, golds, strict=True)])
    f1_N = np.array([token_f1(answer, gold) for answer, gold in zip(answers, golds, strict=True)])
    found = {"token_f1": mean(f1_N), "exact_match": mean(exact_N)}
    answered_N = np.array([bool(gold) for gold in golds])
    if not answered_N.all():
        found["has_answer_f1"] = share(f1_N * answered_N, answered_N)
        found["no_answer_f1"] = share(f1_N * ~answered_N, ~answered_N)
    return found


def answer_text(example: Example, answer: SpanAnswer) -> str:
    """The text of the answer; "" if there is none."""
    return example.second[answer.start : answer.end]


def _measure(
    examples: Sequence[Example], answers: Sequence[SpanAnswer], _labels: Labels
) -> dict[str, Metric]:
    texts = [answer_text(example, answer) for example, answer in zip(examples, answers, strict=True)]
    golds = [example.gold for example in examples]
    sure = [
        (np.array([answer.probability]), np.array([exact_match(text, gold) > 0]))
        for answer, text, gold in zip(answers, texts, golds, strict=True)
    ]
    return {**measure(texts, golds), CALIBRATION: calibration_error(sure)}


def _record(example: Example, answer: SpanAnswer, _labels: Labels) -> dict[str, Any]:
    """The answer and its offsets; `right`: whether it matches a gold answer, if these are known."""
    text = answer_text(example, answer)
    known = {} if example.labels is None else {"right": exact_match(text, example.labels) > 0}
    place = {"start": answer.start, "end": answer.end} if text else {}
    return {"predicted": text, "probability": rounded(answer.probability), **place, **known}


def _line(record: Mapping[str, Any]) -> str:
    return f"{record['predicted'] or UNANSWERABLE} {record['probability']:.2f}"


def _measure_written(examples: Sequence[Example], answers: Sequence[str], _word: Word) -> dict[str, Metric]:
    texts = ["" if answer_words(answer) == [UNANSWERABLE] else answer for answer in answers]
    return measure(texts, [example.gold for example in examples])


TASK = Task(
    "which words of a text answer a question",
    read,
    "second",
    _measure,
    "token_f1",
    SpanOutput(token_f1),
    asks="as a question and a text with ` ||| ` between them",
    example="Where does Warsaw lie? ||| Warsaw lies on the Vistula.",
    as_example=pair_of_texts,
    as_record=_record,
    as_line=_line,
    in_windows=True,
    metrics=("token_f1", "exact_match", "has_answer_f1", "no_answer_f1", CALIBRATION),
    in_words=InWords(
        f"Answer the question with words of the text, or with “{UNANSWERABLE}”.",
        "Text: {second}\nQuestion: {text}\nAnswer: {answer}",
        of_texts,
        GeneratedAnswer(lambda example, _word: (*example.gold, UNANSWERABLE)[0], _measure_written),
    ),
)
