"""Requirements of objectives: what is rejected, and the advice in the message."""

from __future__ import annotations

from typing import Any

import pytest

from kepipe.models.base import Base, build
from kepipe.objectives.requirements import RowSettings, check
from kepipe.objectives.table import read
from tests.support.elmo import small_model

TINY = {"layers": 1, "hidden": 32, "heads": 2}


def error_message(
    objective: Any,
    base: dict[str, Any],
    format: str = "doc-sentences",
    length: int = 16,
    document_mask: bool = False,
) -> str:
    model = build(Base.model_validate(base), 99, 0, lambda _: None, {"pad": 0, "sep": 3})
    try:
        check(read(objective), model.config, "the-base", RowSettings(format, length, document_mask))
    except ValueError as reason:
        return str(reason)
    return ""


@pytest.mark.parametrize(
    ("objective", "base", "format"),
    [
        ("mlm", {"family": "bert", **TINY}, "segment-pair"),
        ("causal-lm", {"family": "gpt2", **TINY}, "packed"),
        ("mass", {"family": "bart", **TINY}, "packed"),
        ("span-corruption", {"family": "t5", **TINY}, "packed"),
    ],
)
def test_fitting_objective_and_base_are_accepted(objective: str, base: dict[str, Any], format: str) -> None:
    assert error_message(objective, base, format) == ""


@pytest.mark.parametrize(
    ("objective", "base", "changes", "message"),
    [
        ("mass", {"family": "bert", **TINY}, {}, "(or t5, t5-v1.1)"),
        (
            "causal-lm",
            {"family": "bart", **TINY},
            {},
            "base the-base is an encoder-decoder: set `objective: mass`",
        ),
        ("mass", {"family": "gpt2", **TINY}, {}, "trains an encoder-decoder, and base the-base is a decoder"),
        ("causal-lm", {"family": "gpt2", **TINY}, {"format": "segment-pair"}, "set `format: packed`"),
        ("mlm", {"family": "bert", **TINY, "positions": 8}, {}, "has 8 positions: set `length: 8`"),
        ("mlm", {"family": "bert", **TINY, "positions": 4}, {}, "has 4 positions: set `length: 4`"),
        (
            "denoising",
            {"family": "bart", **TINY, "positions": 17},
            {"format": "packed"},
            "16 tokens and 2 around them, and base the-base has 17 positions: set `length: 15`",
        ),
        ("dlm", {"family": "bert", **TINY}, {}, "set `format: dialogue`"),
        (
            "denoising",
            {"family": "bart", **TINY},
            {"document_mask": True},
            "cannot keep their documents apart",
        ),
        ("mlm", {"family": "roberta", **TINY}, {"format": "sentence-pair"}, "set `segments: 2` in base"),
        (
            "mlm",
            {"family": "roberta", **TINY},
            {"format": "sentence-pair"},
            "where that is a trained model, set `format: doc-sentences`",
        ),
        ("mass", {"family": "bart", **TINY}, {"format": "sentence-pair"}, "has 0: set `segments: 2` in base"),
        (
            {"name": "unilm", "mode_segments": True},
            {"family": "bert", **TINY},
            {},
            "where that is a trained model, set `mode_segments: false` in the objective",
        ),
        (
            "dlm",
            {"family": "roberta", **TINY},
            {"format": "dialogue"},
            "where that is a trained model, start from one with 2",
        ),
        (
            "mlm",
            {"family": "roberta", **TINY, "segments": 2},
            {"format": "sentence-pair"},
            "set `next_sentence: false` in the objective",
        ),
    ],
)
def test_mismatch_is_reported_with_the_setting_to_change(
    objective: Any, base: dict[str, Any], changes: dict[str, Any], message: str
) -> None:
    assert message in error_message(objective, base, **changes)


def test_rows_are_plain_by_default() -> None:
    plain = RowSettings("doc-sentences", 16)
    assert plain == RowSettings("doc-sentences", 16, document_mask=False, streams=False, ramp=False)
    model = build(
        Base.model_validate({"family": "bart", **TINY}), 99, 0, lambda _: None, {"pad": 0, "sep": 3}
    )
    check(read("denoising"), model.config, "the-base", plain)


def test_model_of_one_objective_without_segments_reads_no_pairs() -> None:
    """Others can be given segment ids."""
    config = small_model().config
    assert config.objectives == {"bidirectional-lm"}
    assert config.segments == 0
    check(read("bidirectional-lm"), config, "the-base", RowSettings("packed", 16))
    with pytest.raises(ValueError, match="base the-base does not support pairs, as made by sentence-pair"):
        check(read("bidirectional-lm"), config, "the-base", RowSettings("sentence-pair", 16))
