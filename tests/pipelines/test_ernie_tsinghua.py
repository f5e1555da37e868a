"""ERNIE (Tsinghua) from end to end, through the command line, on the example of the docs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from kepipe.models import folder
from kepipe.models.entities import EntityVectors
from tests.pipelines.conftest import EXAMPLE, ROOT, Kepipe

pytestmark = pytest.mark.xdist_group("example")

TEXTS = EXAMPLE.parent / "texts"
SETTINGS = (
    f"graph={{source: native, path: {EXAMPLE.parent}}}",
    f"corpus={{source: folder, path: {TEXTS}, held_out: 0.3}}",
    "stages.link.spacy_model=null",
    "stages.shards.tokenizer={size: 700}",
    "stages.embed.dim=8",
    "stages.embed.epochs=4",
    "stages.pretrain.base={family: bert, hidden: 32, layers: 3, heads: 2, fusion: {entity_heads: 2}}",
    "stages.pretrain.format=segment-pair",
    "stages.pretrain.length=48",
    "stages.pretrain.steps=12",
    "stages.pretrain.batch_tokens=512",
    "stages.pretrain.log_every=4",
    "stages.pretrain.eval_every=6",
)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One workspace for all tests: the pipeline runs once."""
    return tmp_path_factory.mktemp("ernie")


def test_text_and_graph_become_a_fused_model(workspace: Path) -> None:
    outcome = Kepipe(workspace, ROOT / "pipelines" / "ernie-tsinghua.yaml").run(settings=SETTINGS)
    assert outcome.code == 0, outcome.errors
    told: dict[str, float] = {}
    for event in outcome.events:
        if event["event"] == "Metrics" and event["stage"] == "pretrain":
            told |= event["values"]
    assert {"loss_mlm", "loss_nsp", "loss_dea", "entity_accuracy", "final_held_out_loss_dea"} <= told.keys()
    assert 0 < told["mentions_with_vector"] <= told["mentions"]
    assert 0 <= told["final_held_out_entity_accuracy"] <= 1
    results = workspace / "ernie-tsinghua"
    model = folder.load(results / "pretrain")
    assert model.config.fusion is not None
    assert (model.config.fusion.first, model.config.fusion.hidden) == (1, 8)
    true, wrong = (EntityVectors.open(results / name) for name in ("pretrain", "shuffled"))
    assert true.vectors.ids == wrong.vectors.ids
    assert not (true.table() == wrong.table()).all(1).any()
    start = {
        name: weight
        for name, weight in folder.load(results / "masked-only").named_parameters()
        if name.startswith("entity_head.dense")
    }
    # Without dEA nothing teaches the head that names entities: its bias is as it was drawn.
    assert torch.equal(start["entity_head.dense.bias"], torch.zeros(8))


def test_a_second_run_does_nothing(workspace: Path) -> None:
    outcome = Kepipe(workspace, ROOT / "pipelines" / "ernie-tsinghua.yaml").run(settings=SETTINGS)
    assert set(outcome.statuses().values()) == {"cached"}
