"""Halves of a test by complexity, ambiguity and unseen words, by hand; their metrics in the scores of the stage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kepipe.data.document import Span
from kepipe.finetuning.examples import Example, from_words
from kepipe.finetuning.slices import WordsOfText, ambiguity, complexity, halves, unseen
from tests.support.conflicts import error_message
from tests.support.tasks import base_model, finetune, write_task


def text(words: str, label: str = "a", second: str = "") -> Example:
    return Example("1", words, labels=(label,), second=second)


def tagged(*pairs: tuple[str, str]) -> Example:
    words, spans = from_words([word for word, _ in pairs])
    return Example("1", words, tuple(spans), tuple(label for _, label in pairs))


def words(*examples: Example, tagged: bool = False) -> list[WordsOfText]:
    return [WordsOfText.of(example, tagged=tagged) for example in examples]


TRAINING = [text("A bank", "a"), text("a river bank", "b"), text("money", "a")]


def test_properties_of_texts() -> None:
    asked = words(text("The Bank, a bank!"), text("money"), text("Unheard-of 北京", second="river"))
    learned = words(*TRAINING)
    assert list(complexity(learned, asked)) == [4, 1, 5]
    # "bank" and "a" stand once under each label: 1 bit; "money" and "river" under one: 0
    assert list(ambiguity(learned, asked)) == [1, 0, 0]
    assert list(unseen(learned, asked)) == [0.25, 0, 0.8]
    nothing = words(text("…"), text("unknown"))
    assert np.isnan(list(ambiguity(learned, nothing))).tolist() == [True, True]
    assert np.isnan(list(unseen(learned, nothing))).tolist() == [True, False]


def test_properties_of_tagged_sentences() -> None:
    learned = words(tagged(("May", "B-PER"), ("Lee", "I-PER")), tagged(("may", "O")), tagged=True)
    asked = words(
        tagged(("May", "B-PER"), ("Lee", "I-PER"), ("saw", "O"), ("Oslo", "B-CITY")),
        tagged(("may", "O")),
        tagged=True,
    )
    lengths = list(complexity(learned, asked))
    assert lengths[0] == 1.5
    assert np.isnan(lengths[1])
    assert list(ambiguity(learned, asked)) == [0.5, 1]
    assert list(unseen(learned, asked)) == [0.5, 0]


def test_slices_split_at_the_median_and_omit_undefined_values() -> None:
    asked = [text("one"), text("one two"), text("a b c"), text("a b c d"), text("")]
    found = halves(["complexity", "ambiguity"], TRAINING, asked, tagged=False)
    assert found["simple"].tolist() == [True, True, False, False, True]
    assert found["complex"].tolist() == [False, False, True, True, False]
    assert (found["unambiguous"] | found["ambiguous"]).tolist() == [False, False, True, True, False]


def test_finetune_stage_scores_both_slices(tmp_path: Path) -> None:
    data = write_task(tmp_path / "data", "classification", 60, 40)
    model = base_model(tmp_path / "bert", layers=1)
    slices = ["complexity", "unseen"]
    scores = finetune(tmp_path / "s", model, "classification", data, epochs=1, slices=slices).scores()["test"]
    simple, complex_ = scores["simple/accuracy"], scores["complex/accuracy"]
    assert simple.cases + complex_.cases == scores["accuracy"].cases
    right = simple.cases * simple.value + complex_.cases * complex_.value
    assert right == pytest.approx(scores["accuracy"].cases * scores["accuracy"].value)
    assert "familiar/accuracy" in scores
    assert "unambiguous/accuracy" not in scores


def test_empty_slice_has_no_metrics(tmp_path: Path) -> None:
    """All sentences have spans of two, one and one words."""
    data = write_task(tmp_path / "data", "tagging", 20, 20)
    model = base_model(tmp_path / "bert", layers=1)
    scores = finetune(tmp_path / "s", model, "tagging", data, epochs=1, slices=["complexity"]).scores()[
        "test"
    ]
    assert scores["simple/span_f1"] == scores["span_f1"]
    assert "complex/span_f1" not in scores


def test_slices_are_rejected_for_ranking(tmp_path: Path) -> None:
    data = write_task(tmp_path, "ranking", 8, 4)
    stage = f"  finetune: {{base: {{from: minilm}}, data: {data}, task: ranking, slices: [unseen]}}\n"
    assert "ranking has no labels of single texts" in error_message(tmp_path, stage)


def test_tagging_words_are_the_spans() -> None:
    example = Example("1", "Ann saw", (Span(0, 3), Span(4, 7)), ("B-PER", "O"))
    assert WordsOfText.of(example, tagged=True).words == ["ann", "saw"]
