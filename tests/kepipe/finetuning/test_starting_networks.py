"""LSTM and CNN as encoders of tasks: new or from a stage, tuned or frozen, with word vectors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kepipe.finetuning.predictor import Predictor
from kepipe.finetuning.settings import FinetuneConfig
from kepipe.inference.opening import load_encoder
from kepipe.models.networks.families import NETWORKS, build
from kepipe.models.networks.network import Network
from kepipe.models.static.fitting import save as save_vectors
from kepipe.stages.artifacts import FineTuned, Model
from kepipe.stages.finetune import FINETUNE
from tests.support.tasks import SETTINGS, finetune, tokenizer, write_task
from tests.support.toy_training import context_in

BILSTM = {"family": "lstm", "embedding": 32, "hidden": 32, "bidirectional": True}
LSTM = {"family": "lstm", "embedding": 32, "hidden": 32}
CNN = {"family": "cnn", "embedding": 32, "hidden": 48, "widths": [3, 4, 5]}


def start(folder: Path, base: dict[str, Any]) -> Model:
    from kepipe.models import folder as folders

    words = tokenizer()
    words.save(folder)
    section = NETWORKS[base["family"]].section.model_validate(base)
    folders.save(folder, build(section, words, seed=1), tokenizer=folder)
    return Model(folder, "digest", name="pretrain")


@pytest.mark.parametrize(
    ("base", "task", "changes"),
    [
        (BILSTM, "relations", {}),
        (BILSTM, "tagging", {"learning_rate": 2e-2}),
        (BILSTM, "pairs", {}),
        (LSTM, "classification", {}),
        (CNN, "classification", {"train": "head", "learning_rate": 0.05}),
        (CNN, "typing", {}),
        (CNN, "ranking", {}),
    ],
)
def test_network_encoders_learn_tasks(
    base: dict[str, Any], task: Any, changes: dict[str, Any], tmp_path: Path
) -> None:
    model = start(tmp_path / "start", base)
    before = load_encoder(model.folder)
    data = write_task(tmp_path / "data", task)
    made = finetune(tmp_path / "stage", model, task, data, **({"learning_rate": 1e-2} | changes))
    scores = made.scores()["test"]
    frozen = changes.get("train") == "head"  # filters as they were drawn
    assert next(iter(scores.values())).value > (0.8 if frozen else 0.9), scores
    after = load_encoder(made.folder)
    assert isinstance(before, Network)
    assert isinstance(after, Network)
    same = torch.equal(after.tokens.weight[: before.config.vocabulary], before.tokens.weight)
    assert same == frozen
    if task == "classification":
        asked = ["we saw rain lovely day", "we saw rain awful day"]
        together = Predictor.open(made.folder).predict(asked)
        assert frozen or together[0]["predicted"] != together[1]["predicted"]
        longer = Predictor.open(made.folder).predict([*asked, "again and again " * 8])
        for one, other in zip(together, longer, strict=False):
            assert one["probability"] == pytest.approx(other["probability"], abs=2e-6)


def test_new_network_can_start_from_word_vectors(tmp_path: Path) -> None:
    words = tokenizer()
    words.save(tmp_path / "words")
    table = np.random.default_rng(0).normal(size=(words.vocab_size, 32)).astype(np.float32)
    save_vectors(tmp_path / "vectors", table, words, tmp_path / "words", family="glove")
    data = write_task(tmp_path / "data", "classification")
    given = {"base": CNN | {"embeddings": str(tmp_path / "vectors")}, "tokenizer": str(tmp_path / "words")}
    settings = SETTINGS | {"task": "classification", "data": data, "train": "head", "epochs": 1} | given
    context = context_in(tmp_path / "stage")
    FINETUNE.run(FINETUNE.inputs(), FinetuneConfig.model_validate(settings), context)
    made = load_encoder(FineTuned(context.out, "").folder)
    assert isinstance(made, Network)
    ours = made.tokens.weight.detach()[words.ordinary]
    assert (
        float(torch.nn.functional.cosine_similarity(ours, torch.from_numpy(table[words.ordinary])).min())
        > 0.999
    )
    wrong = settings | {"base": CNN | {"embeddings": str(tmp_path / "vectors"), "embedding": 16}}
    with pytest.raises(ValueError, match="are 32 wide, the model 16: set `embedding: 32`"):
        FINETUNE.run(FINETUNE.inputs(), FinetuneConfig.model_validate(wrong), context_in(tmp_path / "wrong"))
