"""word2vec, fastText and GloVe by the stage `pretrain`: encoders for tasks, initial embeddings, exports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gensim.models import KeyedVectors

from kepipe.finetuning.predictor import Predictor
from kepipe.flow.events import Metrics
from kepipe.inference.opening import export_model, load_encoder, open_model, read_config
from kepipe.inference.word_vectors import open_vectors
from kepipe.models.protocols import EncoderConfig, ExtensibleVocabulary
from kepipe.models.static.config import StaticConfig
from kepipe.stages.artifacts import Model, Shards
from kepipe.stages.pretrain import PRETRAIN, PretrainConfig, PretrainInputs
from kepipe.tokenization.tokenizer import load_tokenizer
from tests.support.conflicts import error_message
from tests.support.pretraining import SMALL
from tests.support.stages import run_stage
from tests.support.tasks import finetune, write_task

FAMILIES = ("word2vec", "fasttext", "glove")
FAST = {"hidden": 16, "min_count": 1, "epochs": 2}


def fitted(shards: Shards, folder: Path, family: str, **settings: Any) -> dict[str, float]:
    base = {"family": family, **FAST, **({"buckets": 1000} if family == "fasttext" else {}), **settings}
    config = PretrainConfig.model_validate({"base": base})
    events = run_stage(PRETRAIN, PretrainInputs(shards), config, folder)
    return {name: value for e in events if isinstance(e, Metrics) for name, value in e.values.items()}


@pytest.fixture(scope="module")
def made(shards: Shards, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folders = {}
    for family in FAMILIES:
        place = tmp_path_factory.mktemp(family)
        fitted(shards, place, family)
        folders[family] = place / "out"
    return folders


@pytest.mark.parametrize("family", FAMILIES)
def test_word_vectors_become_an_encoder(family: str, made: dict[str, Path]) -> None:
    config = read_config(made[family])
    assert isinstance(config, StaticConfig)
    assert isinstance(config, EncoderConfig)
    assert (config.family, config.hidden) == (family, 16)
    opened = open_model(made[family])
    assert opened.encoder is not None
    assert opened.language_model is None
    tokenizer = load_tokenizer(made[family])
    table = load_encoder(made[family])
    assert isinstance(table, ExtensibleVocabulary)
    weights = table.token_embeddings.weight
    special = list(config.special)
    assert not weights[special].any()
    words = weights[torch.from_numpy(tokenizer.ordinary)]
    known = words.any(1)
    assert known.sum() > 20
    unknown = weights[tokenizer.role("unk")]
    assert torch.allclose(unknown, words[known].mean(0), atol=1e-6)
    made_by = json.loads((made[family] / "kepipe.json").read_text())
    assert (made_by["stage"], made_by["config"]["base"]["family"]) == ("pretrain", family)


def test_random_vectors_have_the_same_words_and_the_given_norm(
    shards: Shards, made: dict[str, Path], tmp_path: Path
) -> None:
    base = {"family": "random-vectors", "hidden": 16, "min_count": 1, "norm": 2.5}
    for folder in ("one", "again"):
        run_stage(
            PRETRAIN, PretrainInputs(shards), PretrainConfig.model_validate({"base": base}), tmp_path / folder
        )
    drawn, again = ((tmp_path / name / "out/model.safetensors").read_bytes() for name in ("one", "again"))
    assert drawn == again
    tables = [
        load_encoder(folder).requires_grad_(False) for folder in (tmp_path / "one" / "out", made["glove"])
    ]
    ours, theirs = (table.tokens.weight for table in tables)  # type: ignore[union-attr]
    unknown = load_tokenizer(made["glove"]).role("unk")
    has_vector = theirs.any(1)
    assert torch.equal(ours.any(1), has_vector)
    has_vector[unknown] = False
    assert float(ours[has_vector].norm(dim=1).mean()) == pytest.approx(2.5, abs=1e-4)
    assert abs(float(ours[has_vector].mean())) < 0.1


@pytest.mark.parametrize("family", FAMILIES)
def test_word_vectors_refitted_after_a_kill_are_bit_identical(
    family: str, shards: Shards, made: dict[str, Path], tmp_path: Path
) -> None:
    left = tmp_path / "scratch" / "counts" / "pairs"
    left.mkdir(parents=True)
    (left / "0.raw").write_bytes(b"half")
    logged = fitted(shards, tmp_path, family)
    once, again = (
        {file.name: file.read_bytes() for file in folder.iterdir()}
        for folder in (made[family], tmp_path / "out")
    )
    assert once == again
    assert logged["words"] > 20
    assert 0 <= logged["unknown_tokens"] < 0.05
    if family == "glove":
        assert logged["final_loss"] < logged["first_loss"]


def test_fasttext_has_vectors_for_unknown_words(made: dict[str, Path]) -> None:
    vectors = open_vectors(str(made["fasttext"]))
    assert "bridges" not in vectors.rows
    assert np.isfinite(vectors.vector("bridges")).all()
    assert vectors.nearest("bridges", 3)
    with pytest.raises(ValueError, match="no vector of 'bridges'"):
        open_vectors(str(made["word2vec"])).vector("bridges")


@pytest.mark.parametrize("family", FAMILIES)
def test_gensim_opens_exported_word_vectors(family: str, made: dict[str, Path], tmp_path: Path) -> None:
    export_model(made[family], tmp_path / "exported")
    theirs = KeyedVectors.load_word2vec_format(str(tmp_path / "exported" / "vectors.txt"))
    ours = open_vectors(str(made[family]))
    assert theirs.index_to_key == list(ours.words)
    assert np.array_equal(theirs.vectors, ours.vectors)
    word = ours.words[3]
    assert [name for name, _ in ours.nearest(word, 5)] == [
        name for name, _ in theirs.most_similar(word, topn=5)
    ]


@pytest.mark.parametrize(
    ("task", "changes"),
    [
        ("classification", {}),
        ("classification", {"train": "head"}),
        ("ranking", {}),
        ("typing", {}),
        ("typing", {"train": "head"}),
        ("tagging", {}),
    ],
)
def test_tasks_are_learned_on_static_vectors(task: Any, changes: dict[str, Any], tmp_path: Path) -> None:
    """Random vectors suffice if single words decide: the task's own vocabulary, frozen or tuned."""
    start = static(tmp_path / "start")
    before = load_encoder(start.folder)
    data = write_task(tmp_path / "data", task)
    settings = {"learning_rate": 0.05, "epochs": 8} | changes
    made = finetune(tmp_path / "stage", start, task, data, **settings)
    scores = made.scores()["test"]
    assert next(iter(scores.values())).value > 0.9, scores
    after = load_encoder(made.folder)
    size = before.config.vocabulary
    same = torch.equal(after.token_embeddings.weight[:size], before.token_embeddings.weight)  # type: ignore[union-attr]
    assert same == (changes.get("train") == "head")
    if task == "classification":
        records = Predictor.open(made.folder).predict(["we saw rain lovely day", "we saw rain awful day"])
        assert records[0]["predicted"] != records[1]["predicted"]


def static(folder: Path) -> Model:
    """Random vectors of the words of the tiny tasks."""
    from kepipe.models.static.fitting import save
    from tests.support.tasks import tokenizer

    words = tokenizer()
    words.save(folder)
    table = np.random.default_rng(0).normal(size=(words.vocab_size, 32)).astype(np.float32)
    save(folder, table, words, None, family="glove")
    return Model(folder, "digest", name="static")


def test_transformer_embeddings_start_from_a_stages_vectors(
    shards: Shards, made: dict[str, Path], tmp_path: Path
) -> None:
    settings = SMALL | {"base": {"layers": 1, "hidden": 16, "heads": 2}, "steps": 1, "learning_rate": 1e-9}
    weights = []
    for place, embeddings in (("plain", None), ("given", Model(made["glove"], "digest", name="glove"))):
        config = PretrainConfig.model_validate(settings)
        run_stage(PRETRAIN, PretrainInputs(shards, embeddings=embeddings), config, tmp_path / place)
        weights.append(load_encoder(tmp_path / place / "out").token_embeddings.weight.detach())  # type: ignore[union-attr]
    theirs = load_encoder(made["glove"]).token_embeddings.weight.detach()  # type: ignore[union-attr]
    words = torch.from_numpy(load_tokenizer(made["glove"]).ordinary)
    words = words[theirs[words].any(1)]
    cosines = torch.nn.functional.cosine_similarity(weights[1][words], theirs[words])
    assert float(cosines.min()) > 0.999
    assert float(torch.nn.functional.cosine_similarity(weights[0][words], theirs[words]).abs().mean()) < 0.5


WORD2VEC = "  vectors: {use: pretrain, base: {family: word2vec}}\n"


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ("  pretrain: {base: {family: word2vec, x_max: 3}}\n", "unknown key `stages.pretrain.base.x_max`"),
        (
            "  pretrain: {base: {family: word2vec, loss: hierarchical-softmax, negatives: 3}}\n",
            "`negatives` applies to negative-sampling only",
        ),
        ("  pretrain: {base: {family: fasttext, shortest: 7}}\n", "shortest (7) is above longest (6)"),
        ("  pretrain: {base: {family: glove}, steps: 5}\n", "glove is fitted in passes of its own"),
        (
            f"{WORD2VEC}  pretrain: {{base: {{size: mini}}, inputs: {{embeddings: vectors}}}}\n",
            "`stages.pretrain.base.hidden`: `vectors` is 100 wide, the model 256: set `hidden: 100`",
        ),
        (
            "  first: {use: pretrain}\n  pretrain: {inputs: {embeddings: first}}\n",
            "`stages.pretrain.inputs.embeddings`: `first` does not make word vectors (word2vec, fasttext or glove)",
        ),
        (
            f"{WORD2VEC}  pretrain: {{base: {{from: minilm}}, inputs: {{embeddings: vectors}}}}\n",
            "base.from gives the token embeddings",
        ),
        (
            f"{WORD2VEC}  pretrain: {{inputs: {{start: vectors}}}}\n",
            "no objective can train vectors",
        ),
        (
            f"{WORD2VEC}  pretrain: {{base: {{family: glove}}, inputs: {{embeddings: vectors}}}}\n",
            "`stages.pretrain.inputs.embeddings`: glove learns nothing from another model",
        ),
        ("  pretrain: {base: {embeddings: .}}\n", "expected a file of word vectors, or a model folder"),
        (f"{WORD2VEC}  evaluate: {{probes: [mlm-loss]}}\n", "cannot answer mlm-loss"),
    ],
)
def test_incompatible_word_vector_settings_are_reported_first(
    stages: str, message: str, tmp_path: Path
) -> None:
    assert message in error_message(tmp_path, stages)
