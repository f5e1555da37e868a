"""Entity typing: the types of a mention in its text, out of many, usually several.

Formats: kepipe's own, OpenEntity and FIGER as in ERNIE's release, the ultra-fine release of OpenEntity, and FIGER's
own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kepipe.arrays import Bools, Floats
from kepipe.data.document import Mention
from kepipe.finetuning.examples import (
    Example,
    Record,
    checked_span,
    from_words,
    records,
    text_of,
    words_span,
)
from kepipe.finetuning.in_words import InWords, of_spans
from kepipe.finetuning.label_output import CALIBRATION, SEVERAL_LABELS, calibration, rounded
from kepipe.finetuning.metrics import Metric, f1_of_counts, mean, share
from kepipe.finetuning.output import Labels
from kepipe.finetuning.task import Task, with_roles
from kg.problems import Problems


def read(file: Path, problems: Problems) -> Iterator[Example]:
    """Examples with one span, the mention to be typed. A record with several mentions gives one example per mention."""
    for number, record in records(file, problems):
        try:
            yield from parse(record, f"{file.stem}:{number}")
        except KeyError as missing:
            problems.add(file, number, f"`{missing.args[0]}` is missing")
        except (ValueError, TypeError, IndexError) as error:
            problems.add(file, number, str(error))


def parse(record: Record, id: str) -> list[Example]:
    """The examples of an object; the format is detected by its keys."""
    id = str(record.get("id", id))
    if "sent" in record:
        return [_ernie(record, id)]
    if "mention_span" in record:
        return [_ultra_fine(record, id)]
    if "tokens" in record:
        return _figer(record, id)
    return [_ours(record, id)]


def _ours(record: Record, id: str) -> Example:
    """`{"text", "start", "end", "types": […], "entity"}`, offsets in characters, `entity` optional."""
    text = text_of(record["text"])
    span = checked_span(text, record["start"], record["end"])
    entity = record.get("entity")
    mentions = (Mention(*span, str(entity)),) if entity else ()
    return Example(id, text, (span,), _types(record["types"]), mentions=mentions)


def _ernie(record: Record, id: str) -> Example:
    """`{"sent", "start", "end", "labels": […], "ents": [[Wikidata id, start, end, score], …]}`."""
    text = text_of(record["sent"])
    span = checked_span(text, record["start"], record["end"])
    named = [
        (checked_span(text, start, end), str(entity), score)
        for entity, start, end, score in record.get("ents", ())
    ]
    mentions = tuple(Mention(*place, entity, float(score)) for place, entity, score in sorted(named))
    return Example(id, text, (span,), _types(record["labels"]), mentions=mentions)


def _ultra_fine(record: Record, id: str) -> Example:
    """`{"left_context_token": […], "mention_span", "right_context_token": […], "y_str": […]}`."""
    left, right = (from_words(record[f"{side}_context_token"])[0] for side in ("left", "right"))
    mention = text_of(record["mention_span"])
    before = f"{left} " if left else ""
    span = checked_span(before + mention, len(before), len(before) + len(mention))
    return Example(
        str(record.get("annot_id", id)),
        f"{before}{mention} {right}".rstrip(),
        (span,),
        _types(record["y_str"]),
    )


def _figer(record: Record, id: str) -> list[Example]:
    """`{"tokens": […], "mentions": [{"start", "end", "labels": […]}, …]}`, words, ends exclusive."""
    text, words = from_words(record["tokens"])
    return [
        Example(
            f"{id}.{number}",
            text,
            (words_span(words, mention["start"], mention["end"]),),
            _types(mention["labels"]),
        )
        for number, mention in enumerate(record["mentions"])
    ]


def _types(value: object) -> tuple[str, ...]:
    """The distinct types, sorted. Raises ValueError if `value` is not a non-empty list."""
    if not isinstance(value, list) or not value:
        raise ValueError(f"expected a list of at least one type, found {value!r}")
    return tuple(sorted({text_of(name) for name in value}))


def choose(probabilities_NL: Floats, threshold: float = 0.5) -> Bools:
    """The types above the threshold, and always the most probable one: bool [N, L]."""
    chosen = probabilities_NL > threshold
    chosen[np.arange(len(chosen)), probabilities_NL.argmax(axis=1)] = True
    return chosen


def measure(gold_NL: Bools, predicted_NL: Bools) -> dict[str, Metric]:
    """Loose micro, loose macro and strict scores (Ling & Weld 2012, §5.1; Shimaoka et al. 2017, §5.2)."""
    right_N, predicted_N, gold_N = (
        kind.sum(axis=1) for kind in (gold_NL & predicted_NL, predicted_NL, gold_NL)
    )
    return {
        "loose_micro_f1": f1_of_counts(right_N, predicted_N, gold_N),
        "loose_micro_precision": share(right_N, predicted_N),
        "loose_micro_recall": share(right_N, gold_N),
        "loose_macro_f1": _loose_macro(right_N, predicted_N, gold_N),
        "strict": mean((gold_NL == predicted_NL).all(axis=1)),
    }


def _loose_macro(right_N: Bools, predicted_N: Bools, gold_N: Bools) -> Metric:
    """Harmonic mean of the mean precision over mentions with a prediction and the mean recall over mentions with a gold
    type."""
    columns = np.stack(
        [
            right_N / np.maximum(predicted_N, 1), predicted_N > 0,
            right_N / np.maximum(gold_N, 1), gold_N > 0,
        ],
        axis=1,
    ).astype(np.float64)  # fmt: skip

    def harmonic(sums: Floats) -> Floats:
        precision = sums[..., 0] / np.maximum(sums[..., 1], 1)
        recall = sums[..., 2] / np.maximum(sums[..., 3], 1)
        found: Floats = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
        return found

    return Metric(columns, harmonic)


def _measure(examples: Sequence[Example], answers: Sequence[Floats], labels: Labels) -> dict[str, Metric]:
    given_NL = np.array([np.isin(labels, example.gold) for example in examples])
    return {
        **measure(given_NL, choose(np.concatenate(answers))),
        **calibration(examples, answers, labels, several=True),
    }


def _record(_example: Example, probabilities_1L: Floats, labels: Labels) -> dict[str, Any]:
    """Types → probabilities, most probable first."""
    (chosen_L,) = choose(probabilities_1L)
    found = sorted(np.flatnonzero(chosen_L).tolist(), key=lambda row: -probabilities_1L[0, row])
    return {"predicted": {labels[row]: rounded(probabilities_1L[0, row]) for row in found}}


def _line(record: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {probability:.2f}" for name, probability in record["predicted"].items())


TASK = Task(
    "which of many types a mention has in its text, several at once",
    read,
    "spans",
    _measure,
    "loose_micro_f1",
    output=SEVERAL_LABELS,
    markers=("[ENT]",),
    asks="with the mention marked, such as `[[Warsaw|mention]] lies on the Vistula.`",
    example="[[Warsaw|mention]] lies on the Vistula.",
    as_example=with_roles("mention"),
    as_record=_record,
    as_line=_line,
    metrics=(
        "loose_micro_f1",
        "loose_micro_precision",
        "loose_micro_recall",
        "loose_macro_f1",
        "strict",
        CALIBRATION,
    ),
    in_words=InWords(
        "Say of which type the mention is: {labels}.",
        "Text: {text}\nMention: {mention}\nType: {answer}",
        of_spans("mention"),
    ),
)
