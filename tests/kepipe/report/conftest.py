"""A reported pipeline: the small world, two arms with training records, an evaluation and vectors."""

import json

import pytest

from kepipe.flow.artifact import seal
from kepipe.flow.stage import StageContext
from kepipe.stages.artifacts import Corpus, Evaluation, Vectors
from kepipe.stages.evaluate import EvaluateConfig, EvaluateInputs, evaluate
from kepipe.stages.report import ReportInputs
from tests.support.world import make_world


def write_record(folder, number, metrics=()):
    record = folder / "record"
    record.mkdir(exist_ok=True)
    tags = {"pipeline.file": "pipelines/small.yaml", "seed": "0", "torch.version": "2.13.0"}
    tags["pipeline.set"] = "--set stages.pretrain.steps=100"
    told = {
        "run": "r1",
        "pipeline": "small",
        "started": 1.79e9 + number,
        "seconds": 3.5 * number,
        "device": "cpu",
    }
    (record / "run.json").write_text(json.dumps(told | {"tags": tags}))
    (record / "metrics.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in metrics))


@pytest.fixture(scope="session")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reported")
    world = make_world(folder)
    scores = {
        "given": {"precision": 0.8, "recall": 0.75, "f1": 0.774},
        "prior": {"precision": 0.6, "recall": 0.7, "f1": 0.646},
    }
    (world.linked.folder / "scores.json").write_text(json.dumps(scores))
    (folder / "embed").mkdir()
    predicted = {
        "test": {"mrr": 0.31, "hits@10": 0.52},
        "popularity": {"mrr": 0.12},
        "random": {"mrr": 0.0003},
    }
    (folder / "embed" / "scores.json").write_text(json.dumps(predicted))
    (folder / "corpus").mkdir()
    told = {"documents": 24, "words": 1800, "bad_lines": {"count": 3, "first": []}}
    (folder / "corpus" / "corpus.json").write_text(json.dumps(told))
    (folder / "evaluate").mkdir()
    (folder / "scratch").mkdir()
    context = StageContext(folder / "evaluate", folder / "scratch", 0, "cpu", lambda event: None)
    config = EvaluateConfig(context=48, max_mentions=40)
    evaluate(EvaluateInputs(world.arms, world.linked, world.graph, world.shards), config, context)
    for number, name in enumerate(
        ("graph", "corpus", "link", "embed", "shards", "pretrain", "control", "evaluate")
    ):
        steps = [
            {"step": s, "loss": 6 - s / 40 + number / 10, "held_out_loss": 6 - s / 50}
            for s in range(0, 100, 10)
        ]
        write_record(folder / name, number, steps if name in ("pretrain", "control") else ())
        seal(folder / name, {"seed": 0}, "r1")
    return ReportInputs(
        world.graph,
        Corpus.open(folder / "corpus", "corpus"),
        world.linked,
        world.shards,
        world.arms,
        Evaluation.open(folder / "evaluate", "evaluate"),
        (Vectors.open(folder / "embed", "embed"),),
    )
