"""Tokenizers and trained models that a pipeline file names: conflicts are reported before any stage runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kepipe.knowledge.ernie_tsinghua.method import ErnieTsinghuaMethod, FusedEntities
from kepipe.knowledge.ernie_tsinghua.settings import ErnieTsinghua
from kepipe.knowledge.ernie_tsinghua.vectors import EntityVectors
from kepipe.models import folder
from kepipe.models.base import Base, build
from kepipe.models.pretrained import from_pretrained
from kepipe.tokenization.training import train_tokenizer
from kg.vectors import save_vectors
from tests.support.conflicts import error_message


def test_start_model_must_share_the_tokenizer_of_its_shards(tmp_path: Path) -> None:
    more = "  more: {use: pretrain, inputs: {start: pretrain, shards: other}}\n"
    shared = "  pretrain: {}\n  other: {use: shards, inputs: {tokenizer: shards}}\n"
    assert error_message(tmp_path, shared + more) == ""
    ready = "  shards: {tokenizer: {from: minilm}}\n  pretrain: {}\n  other: {like: shards, use: shards}\n"
    assert error_message(tmp_path, ready + more) == ""
    made_alike = "  pretrain: {}\n  other: {use: shards}\n"
    assert error_message(tmp_path, made_alike + more) == "", "the run compares what has been made"


def test_tokenizers_are_compared_by_content(tmp_path: Path) -> None:
    tokenizer = train_tokenizer(["the quick brown fox jumps over the lazy dog"] * 9, "wordpiece", 400)
    for folder_of_it in ("one", "same"):
        tokenizer.save(tmp_path / folder_of_it)
    more = "  more: {use: pretrain, inputs: {start: pretrain, shards: other}}\n"

    def said(ours: str, theirs: str) -> str:
        shards = f"  shards: {{tokenizer: {{{ours}}}}}\n  pretrain: {{}}\n"
        return error_message(tmp_path, f"{shards}  other: {{use: shards, tokenizer: {{{theirs}}}}}\n{more}")

    for ours, theirs in {
        "from: one": "from: same",
        "size: 400": "size: 500",
        "from: same": "size: 400",
        "kind: characters": "kind: wordpiece",
        "kind: bpe, lowercase: true": "kind: bpe, lowercase: false",
    }.items():
        assert said(ours, theirs) == said(theirs, ours) == "", (ours, theirs)
    for ours, theirs in {
        "from: one": "from: minilm",
        "size: 400": "from: minilm",
        "kind: bpe": "kind: unigram",
        "lowercase: true": "lowercase: false",
    }.items():
        for told in (said(ours, theirs), said(theirs, ours)):
            assert told.startswith(
                f"{tmp_path}/p.yaml:6: `stages.more.inputs.start`: `pretrain` is trained with"
            )
            assert len(told.splitlines()) == 1


def test_unreadable_tokenizer_is_reported_for_its_shards(tmp_path: Path) -> None:
    shards = "  shards: {tokenizer: {from: .}}\n  pretrain: {}\n"
    other = "  other: {use: shards, inputs: {tokenizer: shards}}\n"
    more = "  more: {use: pretrain, inputs: {start: pretrain, shards: other}}\n"
    messages = error_message(tmp_path, shards + other + more).splitlines()
    assert len(messages) == 1, messages
    assert messages[0].startswith(f"{tmp_path}/p.yaml:3: `stages.shards.tokenizer.from`: ")


def test_fused_trained_model_needs_no_vectors(tmp_path: Path) -> None:
    """It is not fused again, and needs no other vectors."""
    save_vectors(tmp_path / "vectors", ["a", "b"], np.ones((2, 8), np.float32))
    settings = ErnieTsinghua(entity_heads=2, train_vectors=True)
    knowledge = FusedEntities(EntityVectors.open(tmp_path / "vectors"), settings)
    plain = build(Base.model_validate({"layers": 2, "hidden": 32, "heads": 2}), 99, 0)
    fused = ErnieTsinghuaMethod().extend_model(plain, knowledge, 0, lambda _: None)
    folder.save(tmp_path / "fused", fused)
    knowledge.save(tmp_path / "fused", fused)
    shards = "  shards: {tokenizer: {size: 400}}\n"
    for base, said in {"from: fused": False, "family: bert": True}.items():
        stages = f"  pretrain: {{base: {{{base}}}, knowledge: ernie-tsinghua, inputs: {{vectors: null}}}}\n"
        assert ("needs the vectors" in error_message(tmp_path, shards + stages)) is said


def test_tokenizer_without_tokens_of_the_objective_is_reported(tmp_path: Path) -> None:
    texts = ["the quick brown fox jumps over the lazy dog"] * 9
    tokenizer = train_tokenizer(texts, "bpe", 400)
    made = json.loads(tokenizer.backend.to_str())
    gone = {"<mask>", *(f"<extra_id_{k}>" for k in range(100))}
    made["added_tokens"] = [token for token in made["added_tokens"] if token["content"] not in gone]
    made["model"]["vocab"] = {t: i for t, i in made["model"]["vocab"].items() if t not in gone}
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "tokenizer.json").write_text(json.dumps(made))
    shards = "  shards: {tokenizer: {from: bare}}\n"
    t5 = "  pretrain: {base: {family: t5}, objective: span-corruption}\n"
    assert (
        "p.yaml:4: `stages.pretrain.objective`: span-corruption: the tokenizer has no sentinels"
        in error_message(tmp_path, shards + t5)
    )
    assert "mlm: the tokenizer has no `mask` token" in error_message(tmp_path, f"{shards}  pretrain: {{}}\n")
    gpt = "  pretrain: {base: {family: gpt2}, objective: causal-lm}\n"
    assert error_message(tmp_path, shards + gpt) == ""
    assert "p.yaml:3: `stages.shards.tokenizer.from`: " in error_message(
        tmp_path, "  shards: {tokenizer: {from: .}}\n  pretrain: {}\n"
    )


@pytest.mark.parametrize("form", ["kepipe", "hugging face"])
def test_model_folder_conflicts_are_found_without_torch(tmp_path: Path, form: str) -> None:
    from kepipe.models.hf import huggingface

    model = build(Base.model_validate({"layers": 1, "hidden": 32, "heads": 2, "positions": 64}), 99, 0)
    (folder if form == "kepipe" else huggingface).save(tmp_path / "bert", model)
    message = error_message(tmp_path, "  pretrain:\n    base: {from: bert}\n    objective: causal-lm\n")
    assert "p.yaml:5: `stages.pretrain.objective`: causal-lm trains a decoder" in message
    message = error_message(tmp_path, "  pretrain:\n    base: {from: bert}\n    format: segment-pair\n")
    assert "64 positions" in message
    assert "judges rows" not in message, "it has the head of next sentences"
    (tmp_path / "damaged").mkdir()
    for damaged, why in {'{"model_type": "bert"': "no readable config", "[]": "not the config"}.items():
        (tmp_path / "damaged" / "config.json").write_text(damaged)
        message = error_message(tmp_path, "  pretrain:\n    base: {from: damaged}\n")
        assert "p.yaml:4: `stages.pretrain.base`: " in message
        assert f"config.json: {why} of a model" in message
        with pytest.raises(ValueError, match=f"{why} of a model"):
            from_pretrained(str(tmp_path / "damaged"))
    error_message(tmp_path, "  pretrain:\n    base: {from: bert}\n    objective: causal-lm\n")
    script = f"""
import sys
from pathlib import Path
from kepipe.pipeline import load
try:
    load(Path({str(tmp_path / "p.yaml")!r}))
except ValueError:
    sys.exit("torch" in sys.modules)
sys.exit("nothing was said")
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
