"""Padding to few batch shapes: losses and gradients stay the same, layers are compiled once per shape."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import nn
from torch._dynamo.utils import counters

from kepipe.data.batch import Batch
from kepipe.flow.events import Event, Metrics
from kepipe.models.assemble import fuse
from kepipe.models.config import FusionConfig
from kepipe.models.transformer import Transformer
from kepipe.objectives.base import Objective
from kepipe.training import distributed
from kepipe.training.batch_shapes import has_few_shapes, padded, rounded, shape_of
from kepipe.training.distributed import compiled_for_shapes
from tests.gpu import cases
from tests.gpu.descriptors import branches
from tests.support.rows import rows
from tests.support.toy_training import EventRecorder, context_in, fit, settings

LENGTH, HIDDEN = 60, 32
WARM, STEPS = 9, 14
PADDED = ("bert, mlm", "gpt2, causal-lm", "bart, denoising", "t5, span-corruption", "bert, unilm")
ALL = {one.name: one for one in (*cases.families(LENGTH), *cases.objectives(LENGTH))}


def gradients(case: cases.Case, batch: Batch, *, few_shapes: bool) -> dict[str, torch.Tensor]:
    """The terms, and the gradient of each weight."""
    model = case.model(HIDDEN)
    model.few_shapes = few_shapes
    means = case.objective.criterion(model, batch)
    torch.stack([means[name] for name in case.objective.criterion.terms if name in means]).sum().backward()
    found = {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}
    return {name: mean.detach() for name, mean in means.items()} | found


@pytest.mark.parametrize("name", PADDED)
def test_padded_batches_keep_losses_and_gradients(name: str) -> None:
    case = ALL[name]
    batch = case.batch()
    longer = padded(batch)
    assert shape_of(longer)[1:] == tuple(length and rounded(length) for length in shape_of(batch)[1:])
    assert shape_of(longer) != shape_of(batch)
    expected = gradients(case, batch, few_shapes=False)
    found = gradients(case, longer, few_shapes=True)
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        cut = found[key][: len(value)] if value.ndim else found[key]
        torch.testing.assert_close(
            cut, value, rtol=1e-3, atol=2e-6, msg=lambda text, key=key: f"{key}: {text}"
        )


def test_padding_keeps_hidden_states_with_injected_triples_and_entities() -> None:
    case = ALL["bert, mlm"]
    batch = replace(case.batch(), next_sentence_labels=None)
    branch_BT, mention_BT = branches(8, LENGTH)
    linked_BT = (torch.arange(LENGTH) % 7 == 2).long().expand(8, -1).contiguous()
    vectors = torch.randn(2, 16, generator=torch.Generator().manual_seed(0))
    batch = replace(batch, branch=branch_BT, mention=mention_BT, entities=linked_BT, entity_vectors=vectors)
    plain = case.model(HIDDEN).eval()
    assert isinstance(plain, Transformer)
    model = fuse(plain, FusionConfig(first=1, hidden=16, heads=2), 0)[0].eval()
    with torch.no_grad():
        expected = model(batch, batch.label_positions)
        longer = padded(batch)
        model.few_shapes = True
        torch.testing.assert_close(model(longer, longer.label_positions), expected, rtol=1e-4, atol=1e-5)


def test_lengths_are_rounded_to_eight_steps_per_power_of_two() -> None:
    assert [rounded(length) for length in (1, 8, 9, 60, 64, 65, 410, 500, 512, 513)] == [
        8, 8, 16, 64, 64, 72, 416, 512, 512, 576,
    ]  # fmt: skip
    assert len({rounded(length) for length in range(257, 513)}) == 8


def full(case: cases.Case, number: int) -> Batch:
    """A batch whose fill depends on its number."""
    made = rows(8, LENGTH - number % 9, seed=number, pairs=case.name == "bert, mlm")
    return case.objective.collate(made, np.random.default_rng([5, number]), 0.5)


def test_few_shapes_are_detected_in_the_first_batches() -> None:
    """True for rows of about one length, false for rows of any length."""
    case = ALL["bart, denoising"]

    def alike(number: int, _share: float) -> Batch:
        return full(case, number)

    assert len({shape_of(full(case, number)) for number in range(8)}) > 3
    assert has_few_shapes(alike)

    def any_length(number: int, _share: float) -> Batch:
        made = rows(8, 12 + 8 * number)
        return case.objective.collate(made, np.random.default_rng(number), 0.5)

    assert not has_few_shapes(any_length)
    model, cuda = case.model(HIDDEN), torch.device("cuda")
    long = settings(steps=500)
    assert compiled_for_shapes(model, long, cuda, alike) is distributed.has_compiler()
    assert not compiled_for_shapes(model, long, cuda, any_length)
    assert not compiled_for_shapes(model, long, torch.device("cpu"), alike)


@pytest.mark.parametrize(("name", "most"), [("bert, mlm", 4), ("bart, denoising", 6)])
def test_no_recompilation_after_the_first_updates(
    name: str, most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the fill of batches; each graph is for one shape. The tracer is that of CUDA, without its kernels."""
    case, how = ALL[name], list[dict[str, Any]]()
    compile_ = nn.Module.compile
    monkeypatch.setattr(distributed, "compiler", lambda: "")
    monkeypatch.setattr(
        nn.Module,
        "compile",
        lambda layer, **given: how.append(given) or compile_(layer, backend="eager", **given),
    )
    torch._dynamo.reset()
    counters.clear()

    def collate(made: Any, _rng: np.random.Generator, share: float) -> Batch:
        return case.objective.collate(made, np.random.default_rng(int(made.tokens.sum())), share)

    def source(number: int) -> Any:
        return rows(8, LENGTH - number % 9, seed=number, pairs=name == "bert, mlm")

    class Counting(EventRecorder):
        """Notes how many graphs there are after each update."""

        graphs: ClassVar[dict[int, int]] = {}

        def __call__(self, event: Event) -> None:
            super().__call__(event)
            if isinstance(event, Metrics) and event.step:
                self.graphs[event.step] = counters["stats"]["unique_graphs"]

    recorder, plain = Counting(), EventRecorder()
    objective = Objective(collate, case.objective.criterion)
    usual = settings(steps=STEPS, log_every=1, compile=True, checkpoint_every=100, eval_every=100)
    fit(case.model(HIDDEN), objective, source, usual, context_in(tmp_path / "compiled", recorder))  # type: ignore[arg-type]
    assert how
    assert all(given == {"dynamic": False} for given in how)
    assert 0 < recorder.graphs[WARM] == recorder.graphs[STEPS] <= most
    torch._dynamo.reset()
    fit(
        case.model(HIDDEN), objective, source, usual.model_copy(update={"compile": False}),
        context_in(tmp_path / "plain", plain),
    )  # fmt: skip
    assert recorder.metric("loss") == pytest.approx(plain.metric("loss"), rel=1e-3)
