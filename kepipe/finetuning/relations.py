"""Relation classification: the relation between the head and the tail entity in a text.

Formats: kepipe's own, wiki80 and FewRel (token lists with Wikidata ids), TACRED, and SemEval-2010 task 8.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kepipe.arrays import Floats, Ints
from kepipe.data.document import Mention, Span
from kepipe.finetuning.examples import (
    Example,
    Record,
    checked_span,
    from_words,
    read_records,
    text_of,
    words_span,
)
from kepipe.finetuning.in_words import InWords, of_spans
from kepipe.finetuning.label_output import CALIBRATION, calibration, label_numbers, likeliest
from kepipe.finetuning.metrics import Metric, accuracy, micro_f1, one_hot
from kepipe.finetuning.output import Labels
from kepipe.finetuning.task import Task, with_roles
from kg.problems import Problems

NONE = ("no_relation", "Other", "NA", "unknown")
"""Labels of unrelated pairs in TACRED, SemEval, NYT and CoNLL."""
_TAG = re.compile(r"<(/?)(e[12])>")
_DIRECTION = re.compile(r"\((e1,e2|e2,e1)\)$")


def read(file: Path, problems: Problems) -> Iterator[Example]:
    """Examples with two spans, head and tail."""
    return read_records(file, problems, parse)


def parse(record: Record, id: str) -> Example:
    """The example of an object; the format is detected by its keys."""
    label = text_of(record["relation"] if "relation" in record else record["label"])
    id = str(record.get("id", id))
    if "h" in record:
        return _with_ids(record, id, label)
    if "subj_start" in record:
        return _tacred(record, id, label)
    if "head" in record:
        return _ours(record, id, label)
    return _semeval(record, id, label)


def _ours(record: Record, id: str, label: str) -> Example:
    """`{"text", "head": {"start", "end", "entity"}, "tail": {…}, "label"}`, characters, entities optional."""
    text = text_of(record["text"])
    spans = [checked_span(text, record[part]["start"], record[part]["end"]) for part in ("head", "tail")]
    entities = [record[part].get("entity") for part in ("head", "tail")]
    return Example(id, text, tuple(spans), (label,), mentions=_mentions(spans, entities))


def _with_ids(record: Record, id: str, label: str) -> Example:
    """wiki80: `{"token", "h": {"id", "pos": [first, stop]}, "t": {…}, "relation"}`; FewRel: lists of token indices."""
    text, words = from_words(record["token"] if "token" in record else record["tokens"])
    spans, entities = [], []
    for part in ("h", "t"):
        entity = record[part]
        if isinstance(entity, Mapping):
            first, stop = entity["pos"][0], entity["pos"][-1]
            entities.append(entity.get("id"))
        else:
            first, stop = entity[2][0][0], entity[2][0][-1] + 1
            entities.append(entity[1])
        spans.append(words_span(words, first, stop))
    return Example(id, text, tuple(spans), (label,), mentions=_mentions(spans, entities))


def _tacred(record: Record, id: str, label: str) -> Example:
    """TACRED: `{"token", "subj_start", "subj_end", "obj_start", "obj_end", "relation"}`, ends inclusive."""
    text, words = from_words(record["token"])
    spans = [
        words_span(words, record[f"{part}_start"], record[f"{part}_end"] + 1) for part in ("subj", "obj")
    ]
    return Example(id, text, tuple(spans), (label,))


def _semeval(record: Record, id: str, label: str) -> Example:
    """SemEval-2010 task 8: `{"text": "… <e1>head</e1> … <e2>tail</e2> …", "relation": "Cause-Effect(e1,e2)"}`."""
    text, spans = strip_tags(text_of(record["text"]))
    if spans.keys() != {"e1", "e2"}:
        raise ValueError(
            "expected `<e1>…</e1>` and `<e2>…</e2>` in the text, or `head` and `tail`, or `h` and `t`"
        )
    return Example(id, text, (spans["e1"], spans["e2"]), (label,))


def strip_tags(tagged: str) -> tuple[str, dict[str, Span]]:
    """A text without its tags, and the character span that each tag enclosed."""
    text, at, opened, spans = "", 0, {}, {}
    for tag in _TAG.finditer(tagged):
        text += tagged[at : tag.start()]
        at = tag.end()
        if not tag[1]:
            opened[tag[2]] = len(text)
        elif tag[2] in opened and opened[tag[2]] < len(text):
            spans[tag[2]] = Span(opened[tag[2]], len(text))
    return text + tagged[at:], spans


def _mentions(spans: Sequence[Span], entities: Sequence[Any]) -> tuple[Mention, ...]:
    mentions = [
        Mention(s.start, s.end, str(entity)) for s, entity in zip(spans, entities, strict=True) if entity
    ]
    return tuple(sorted(mentions, key=lambda mention: mention.start))


def measure(gold_N: Ints, predicted_N: Ints, labels: Sequence[str]) -> dict[str, Metric]:
    """Accuracy; micro-F1 over the classes that are relations; SemEval's macro-F1 if labels have a direction."""
    related_L = np.array([label not in NONE for label in labels])
    found = {
        "micro_f1": micro_f1(one_hot(gold_N, related_L), one_hot(predicted_N, related_L)),
        "accuracy": accuracy(gold_N, predicted_N),
    }
    if any(_DIRECTION.search(label) for label in labels):
        found["macro_f1"] = _semeval_macro(gold_N, predicted_N, labels)
    return found


def _semeval_macro(gold_N: Ints, predicted_N: Ints, labels: Sequence[str]) -> Metric:
    """The official score (Hendrickx et al. 2010): (9+1)-way, taking directionality into account.

    A correct prediction must also have the right direction; predicted and gold counts are over both directions.
    """
    bare = [_DIRECTION.sub("", label) for label in labels]
    names = sorted({name for name in bare if name not in NONE})
    of_L = np.array([names.index(name) if name in names else -1 for name in bare])
    kinds_R = np.arange(len(names))
    gold_NR, predicted_NR = of_L[gold_N][:, None] == kinds_R, of_L[predicted_N][:, None] == kinds_R
    right_NR = gold_NR & (gold_N == predicted_N)[:, None]
    columns = np.concatenate([right_NR, predicted_NR, gold_NR], axis=1).astype(np.float64)

    def mean_f1(sums: np.ndarray[Any, np.dtype[np.float64]]) -> Any:
        right, predicted, gold = np.split(sums, 3, axis=-1)
        return (2 * right / np.maximum(predicted + gold, 1)).mean(axis=-1)

    return Metric(columns, mean_f1)


def _measure(examples: Sequence[Example], answers: Sequence[Floats], labels: Labels) -> dict[str, Metric]:
    return {
        **measure(label_numbers(examples, labels), likeliest(answers), labels),
        **calibration(examples, answers, labels),
    }


TASK = Task(
    "how head and tail of a text are related",
    read,
    "spans",
    _measure,
    "micro_f1",
    markers=("[HD]", "[TL]"),
    asks="with head and tail marked, such as `[[Marie Curie|head]] was born in [[Warsaw|tail]].`",
    example="[[Marie Curie|head]] was born in [[Warsaw|tail]].",
    as_example=with_roles("head", "tail"),
    metrics=("micro_f1", "accuracy", "macro_f1", CALIBRATION),
    in_words=InWords(
        "Say how the two names are related: {labels}.",
        "Text: {text}\nFirst: {head}\nSecond: {tail}\nRelation: {answer}",
        of_spans("head", "tail"),
    ),
)
