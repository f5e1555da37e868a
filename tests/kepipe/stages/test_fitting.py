"""N-gram models fitted by the stage `pretrain`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kepipe.config import ConfigError
from kepipe.data.shards import open_shard
from kepipe.flow.events import Metrics
from kepipe.inference.opening import open_model, read_config
from kepipe.models.fitted_families import FITTED
from kepipe.models.ngram.counting import BOS, EOS
from kepipe.models.ngram.fitting import word_stretches
from kepipe.models.protocols import NextTokenModel, TextGenerator
from kepipe.pipeline import load
from kepipe.stages.artifacts import Shards
from kepipe.stages.pretrain import PRETRAIN, PretrainConfig, PretrainInputs
from kepipe.tokenization.tokenizer import load_tokenizer
from tests.support.stages import run_stage


def settings(**base: Any) -> PretrainConfig:
    return PretrainConfig.model_validate({"base": {"family": "ngram", **base}})


def fitted(shards: Shards, folder: Path, **base: Any) -> dict[str, float]:
    events = run_stage(PRETRAIN, PretrainInputs(shards), settings(**base), folder)
    return {name: value for e in events if isinstance(e, Metrics) for name, value in e.values.items()}


def test_pretrain_fits_an_n_gram_model_folder(shards: Shards, tmp_path: Path) -> None:
    logged = fitted(shards, tmp_path, order=3)
    assert read_config(tmp_path / "out").capabilities == {"language-model"}
    model = open_model(tmp_path / "out").language_model
    assert isinstance(model, TextGenerator)
    assert isinstance(model, NextTokenModel)
    made_by = json.loads((tmp_path / "out" / "kepipe.json").read_text())
    assert (made_by["stage"], made_by["config"]["base"]["order"]) == ("pretrain", 3)
    # A sentence begins with one of 25 names, of two distinct words, and seven of twelve words.
    vocabulary = load_tokenizer(tmp_path / "out").vocab_size
    assert 1 < logged["final_held_out_perplexity"] < vocabulary / 10
    assert logged["ngrams_1"] < logged["ngrams_2"] < logged["ngrams_3"]
    assert logged["unknown_tokens"] == 0


def test_fitting_again_and_after_a_kill_is_bit_identical(shards: Shards, tmp_path: Path) -> None:
    fitted(shards, tmp_path / "once")
    left = tmp_path / "again" / "scratch" / "counts"
    left.mkdir(parents=True)
    (left / "text").write_bytes(b"half")
    fitted(shards, tmp_path / "again")
    one, other = (
        {file.name: file.read_bytes() for file in (tmp_path / name / "out").iterdir()}
        for name in ("once", "again")
    )
    assert one == other


@pytest.mark.parametrize("smoothing", ["kneser-ney", "witten-bell", "katz"])
def test_longer_n_grams_have_lower_held_out_loss(smoothing: str, shards: Shards, tmp_path: Path) -> None:
    short, long = (
        fitted(shards, tmp_path / str(n), order=n, smoothing=smoothing)["final_held_out_loss"] for n in (1, 3)
    )
    assert long < short - 0.3


@pytest.mark.parametrize("sentences", [False, True])
@pytest.mark.parametrize("stretch", [5, 1 << 22])
def test_n_gram_texts_are_split_at_documents_or_sentences(
    sentences: bool, stretch: int, shards: Shards, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kepipe.models.ngram import fitting

    monkeypatch.setattr(fitting, "STRETCH", stretch)
    shard = open_shard(shards.folder / "train")
    ids = np.arange(3, 3 + int(shard.tokens.max()) + 1)
    words = np.concatenate([*word_stretches(shard, ids, sentences=sentences)])
    starts = (shard.sentences if sentences else shard.documents)[:-1]
    expected = [np.concatenate([[BOS], ids[part], [EOS]]) for part in np.split(shard.tokens, starts[1:])]
    assert words.tolist() == np.concatenate(expected).tolist()


def test_held_out_loss_does_not_depend_on_chunk_size(
    shards: Shards, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kepipe.models.ngram import fitting

    whole = fitted(shards, tmp_path / "a")["final_held_out_loss"]
    monkeypatch.setattr(fitting, "STRETCH", 7)
    assert fitted(shards, tmp_path / "b")["final_held_out_loss"] == pytest.approx(whole, rel=1e-12)


def error_message(folder: Path, stages: str) -> str:
    text = (
        f"name: t\ngraph: {{source: native, path: .}}\ncorpus: {{source: folder, path: .}}\nstages:\n{stages}"
    )
    (folder / "p.yaml").write_text(text)
    with pytest.raises(ConfigError) as error:
        load(folder / "p.yaml")
    return str(error.value)


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        (
            "  pretrain: {base: {family: ngram}, steps: 5}\n",
            "`stages.pretrain.steps`: ngram is fitted in passes of its own",
        ),
        ("  pretrain: {base: {family: ngram, hidden: 4}}\n", "unknown key `stages.pretrain.base.hidden`"),
        (
            "  pretrain: {base: {family: ngram, order: 7}}\n",
            "`stages.pretrain.base.order`: expected a number up to 6",
        ),
        ("  pretrain: {base: {family: ngrams}}\n", "unknown family 'ngrams'; did you mean `ngram`?"),
        ("  pretrain: {base: {family: ngram, k: 2}}\n", "k is a setting of `smoothing: add-k`"),
        ("  pretrain: {base: {family: ngram, prune: [0, 2, 1]}}\n", "expected non-decreasing thresholds"),
        ("  pretrain: {base: {family: ngram, prune: [1]}}\n", "words are never pruned"),
        ("  pretrain: {base: {family: ngram, order: 2, prune: [0, 0, 1]}}\n", "3 thresholds"),
        (
            "  pretrain: {base: {family: ngram}, knowledge: ernie-baidu}\n",
            "ngram is fitted to the text alone",
        ),
        (
            "  pretrain: {base: {family: ngram}}\n  more: {use: pretrain, inputs: {start: pretrain}}\n",
            "`stages.more.inputs.start`: no objective can train pretrain",
        ),
        (
            "  pretrain: {}\n  more: {use: pretrain, base: {family: ngram}, inputs: {start: pretrain}}\n",
            "`stages.more.inputs.start`: ngram learns nothing from another model",
        ),
        (
            "  pretrain: {base: {family: ngram}}\n"
            "  finetune: {task: typing, data: {train: p.yaml}, inputs: {start: pretrain}}\n",
            "`stages.finetune.inputs.start`: pretrain is not an encoder",
        ),
        ("  pretrain: {base: {family: ngram}}\n  evaluate: {probes: [mlm-loss]}\n", "cannot answer mlm-loss"),
    ],
)
def test_incompatible_n_gram_settings_are_reported_first(stages: str, message: str, tmp_path: Path) -> None:
    assert message in error_message(tmp_path, stages)


def test_fitted_families_have_unique_names() -> None:
    from kepipe.models.families import FAMILIES

    assert not FITTED.keys() & FAMILIES.keys()
    assert all(row.section.model_fields["family"].default == name for name, row in FITTED.items())
