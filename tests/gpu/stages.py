"""Stages and models on the device: fine-tune, predict, generate, embed a graph, system metrics."""

from __future__ import annotations

import numpy as np
import torch

from kepipe.finetuning.predictor import Predictor
from kepipe.flow.events import Event, Metrics
from kepipe.inference.opening import open_model
from kepipe.linking.features.affinity import Affinity
from kepipe.linking.features.describe import FEATURES
from kepipe.linking.ranking.logistic_loss import NumpyLoss, TorchLoss
from kepipe.linking.ranking.ranker import fit
from kepipe.stages.artifacts import FineTuned
from kepipe.stages.finetune import FINETUNE
from kepipe.tracking.system_metrics import SystemMetrics
from kg.embedding import Training, train
from kg.inductive import InductiveTraining, train_encoder
from kg.neighbourhood import Neighbourhood
from tests.gpu.check import Check, Figures, Setting
from tests.support.graphs import numbered_graph
from tests.support.tasks import SETTINGS, base_model, write_task
from tests.support.waiting import until


def finetuned(setting: Setting) -> Figures:
    """A task is learned, and the folder answers on the device as it does on the CPU."""
    start = base_model(setting.folder / "bert")
    data = write_task(setting.folder / "task", "classification", 160, 40)
    context = setting.context("finetune")
    config = FINETUNE.config.model_validate(SETTINGS | {"task": "classification", "data": data, "epochs": 6})
    FINETUNE.run(FINETUNE.inputs(start=start), config, context)
    score = FineTuned(context.out, "").scores()["test"]["accuracy"].value
    assert score > 0.9, f"accuracy {score:.2f} of a task that a tiny model learns"
    texts = ["we saw the great old day", "the awful rain was long", "a lovely day"]
    answers = [
        Predictor.open(context.out, device=device).predict(texts) for device in (setting.device, "cpu")
    ]
    assert [one["predicted"] for one in answers[0]] == [one["predicted"] for one in answers[1]], answers
    return {"accuracy": score}


def generated(setting: Setting) -> Figures:
    """A decoder writes the same on the device as on the CPU, and finds texts as likely."""
    folder = base_model(setting.folder / "gpt2", "gpt2", positions=64).folder
    prompts = [np.arange(30, 36), np.arange(40, 43)]
    written, likely = [], []
    for device in (setting.device, "cpu"):
        model = open_model(folder, device).language_model
        assert model is not None
        written.append(model.generate(prompts, limit=8))  # type: ignore[attr-defined]
        likely.append(np.concatenate(model.log_likelihoods(prompts, [0, 1], [prompts[1], prompts[0]])))
    error = float(np.abs(likely[0] - likely[1]).max())
    assert error < 1e-3, f"log-likelihoods differ by {error:.1e}"
    assert [one.tolist() for one in written[0]] == [one.tolist() for one in written[1]], written
    return {"log-likelihood": error}


def embedded(setting: Setting) -> Figures:
    """TransE learns a graph of shifts on the device; so does the layer that composes vectors of new entities, to what
    it learns on the CPU."""
    count = 40
    heads = np.arange(count)
    triples = np.concatenate(
        [np.stack([heads, np.full(count, by - 1), (heads + by) % count], 1) for by in (1, 2, 3)]
    )
    graph = numbered_graph(setting.folder / "graph", count, 3, train=triples)
    losses: list[float] = []
    trained = train(
        graph,
        Training(dim=16, epochs=30, validate_every=0),
        setting.folder,
        0,
        setting.device,
        on_epoch=lambda _epoch, figures: losses.append(figures["loss"]),
    )
    assert trained.entities.shape == (count, 16)
    assert np.isfinite(trained.entities).all()
    assert losses[-1] < 0.9 * losses[0], losses
    layers = [
        train_encoder(
            Neighbourhood(triples.astype(np.int32), count, 3), trained.entities, trained.relations,
            InductiveTraining(steps=20, batch=20), 0, device=device,
        )
        for device in ("cpu", setting.device)
    ]  # fmt: skip
    apart = max(
        float((one - other).abs().max())
        for one, other in zip(layers[0].parameters(), layers[1].parameters(), strict=True)
    )
    assert apart < 1e-2, f"the layer for new entities is {apart:.1e} apart from the CPU's"
    return {"first loss": losses[0], "last loss": losses[-1], "new entities apart": apart}


def watched(setting: Setting) -> Figures:
    """The thread of system metrics reports readings for MLflow; with a GPU, its memory among them."""
    heard: list[Metrics] = []

    def sink(event: Event) -> None:
        if isinstance(event, Metrics):
            heard.append(event)

    watch = SystemMetrics(sink, interval=0.2)
    watch.start("run", "stage")
    try:
        used = torch.ones(1 << 20, device=setting.device)
        until(lambda: len(heard) >= 2)
    finally:
        watch.stop()
        del used
    values = heard[-1].values
    of_gpu = {name: value for name, value in values.items() if "gpu_" in name}
    assert "system/system_memory_usage_percentage" in values
    if setting.on_gpu:
        index = torch.device(setting.device).index or 0
        assert of_gpu.get(f"system/gpu_{index}_memory_usage_megabytes", 0) > 0, values
    return {"figures": float(len(values)), "of GPUs": float(len(of_gpu))}


def ranked(setting: Setting) -> Figures:
    """The ranker of the linker: its loss and gradient, and the weights that it is fitted to."""
    rng = np.random.default_rng(0)
    count = 2000 if setting.tiny else 200_000
    features = rng.normal(size=(count, len(FEATURES)))
    right, importance = features[:, :5].sum(1) > 1.0, rng.uniform(0.2, 1.0, count)
    weights, sign = rng.normal(size=len(FEATURES) + 1), np.where(right, 1.0, -1.0)
    value, slope = TorchLoss.of(features, sign, importance, setting.device)(weights)
    expected, expected_slope = NumpyLoss(features, sign, importance)(weights)
    assert abs(value / expected - 1) < 1e-9, f"{value} on the device, {expected} on the CPU"
    np.testing.assert_allclose(slope, expected_slope, rtol=1e-7, atol=1e-7)
    fitted = [
        fit(features, right, importance, Affinity(), device=device).weights
        for device in (setting.device, "cpu")
    ]
    apart = float(np.abs(fitted[0] - fitted[1]).max())
    assert apart < 1e-4, f"weights are {apart:.1e} apart"
    return {"gradient": float(np.abs(slope - expected_slope).max()), "weights apart": apart}


CHECKS = (
    Check("fine-tuning", "a task is learned, and predict answers on the device as on the CPU", finetuned),
    Check("generate", "a decoder writes and scores on the device as on the CPU", generated),
    Check("TransE", "vectors of a graph, and those of new entities, are learned on the device", embedded),
    Check("ranker", "the linker's ranker, fitted on the device, is that of the CPU", ranked),
    Check("metrics", "what MLflow shows of the machine is told, GPUs included", watched),
)
