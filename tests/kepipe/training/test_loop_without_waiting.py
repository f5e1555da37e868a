"""Updates on the "meta" device: anything that synchronises with the device fails.

On "meta", operations have shapes and no values, so that `.item()`, `.tolist()`, `bool()`, `nonzero()` and
the like raise, while batches keep their values on the CPU. On a GPU these would block the CPU until it has finished.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import kepipe
from kepipe.data.batch import Batch
from kepipe.models.assemble import fuse
from kepipe.models.config import FusionConfig
from kepipe.models.elmo.model import Elmo
from kepipe.models.elmo.softmax import AdaptiveSoftmax, SampledSoftmax
from kepipe.models.protocols import TrainableEncoder, TrainableModel
from kepipe.models.transformer import Transformer
from kepipe.nn.gather import to_device
from kepipe.training.carried_states import CarriedStates
from kepipe.training.distributed import LossModule, make_accelerator
from kepipe.training.loop import update
from kepipe.training.metrics import MetricAccumulator
from kepipe.training.microbatches import MicroBatch, MicrobatchLoader, PlannedUpdate
from tests.gpu import cases
from tests.gpu.descriptors import branches, packed
from tests.support.toy_training import MASKING, mask_tokens, settings, toy_rows

LENGTH, HIDDEN = 24, 48
ALL = {one.name: one for one in (*cases.families(LENGTH), *cases.objectives(LENGTH))}
ELMO = "elmo, bidirectional-lm"


@pytest.fixture(autouse=True)
def _meta_is_a_device_like_others(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """torch knows no autocast for it, which fp32 does not need."""
    enabled, autocast = torch.is_autocast_enabled, torch.autocast
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda kind: kind != "meta" and enabled(kind))
    monkeypatch.setattr(
        torch, "autocast", lambda kind, **how: nullcontext() if kind == "meta" else autocast(kind, **how)
    )
    yield
    make_accelerator("fp32", "cpu")


def updated(case: cases.Case, model: TrainableModel, batch: Batch) -> None:
    """Two updates with metrics, as in the loop, with an optimiser that any device has."""
    accelerator = make_accelerator("fp32", "meta")
    loss_module = LossModule(model.to("meta")).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    criterion, carried = case.objective.criterion, CarriedStates()
    accumulator = MetricAccumulator(criterion.terms, criterion.metrics)
    for number in range(2):
        parts = [MicroBatch(batch, criterion.counts(batch), 1, number)]
        sums, norm = update(accelerator, loss_module, optimizer, criterion, parts, carried, 1.0)
        accumulator.add(PlannedUpdate(number, range(1), 0.0), sums, parts, norm)
    assert norm.device.type == "meta"


@pytest.mark.parametrize("name", ALL)
def test_update_does_not_synchronise_with_the_device(name: str) -> None:
    updated(ALL[name], ALL[name].model(HIDDEN), ALL[name].batch())


@pytest.mark.parametrize("head", [SampledSoftmax, AdaptiveSoftmax])
def test_sampled_and_adaptive_softmax_do_not_synchronise(
    head: type[torch.nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a GPU, torch.multinomial waits to check its probabilities; "meta" would not show it."""
    monkeypatch.delattr(torch, "multinomial")
    model = ALL[ELMO].model(HIDDEN)
    assert isinstance(model, Elmo)
    model.head = head(HIDDEN, len(model.constants.classes.tokens), 8 if head is SampledSoftmax else (8, 20))
    updated(ALL[ELMO], model, ALL[ELMO].batch())


@pytest.mark.parametrize("name", [name for name in ALL if ALL[name].family not in ("t5", "nnlm")])
def test_encoder_for_a_task_does_not_synchronise(name: str) -> None:
    """Hidden states of all tokens, from which heads of tasks read."""
    model = ALL[name].model(HIDDEN)
    if isinstance(model, TrainableEncoder):
        batch = replace(ALL[name].batch(), from_right=None, state=None)
        assert model.to("meta").encode(batch.to("meta")).device.type == "meta"


def test_document_masks_triples_and_entities_do_not_synchronise() -> None:
    case = ALL["bert, mlm"]
    batch = replace(case.batch(), next_sentence_labels=None)
    branch_BT, mention_BT = branches(8, LENGTH)
    injected = replace(batch, documents=packed(8, LENGTH), branch=branch_BT, mention=mention_BT)
    updated(case, case.model(HIDDEN), injected)
    linked_BT = (torch.arange(LENGTH) % 5 == 2).long().expand(8, -1).contiguous()
    fused = replace(batch, entities=linked_BT, entity_vectors=torch.ones(2, 16))
    model = case.model(HIDDEN)
    assert isinstance(model, Transformer)
    updated(case, fuse(model, FusionConfig(first=1, hidden=16, heads=2), 0)[0], fused)


def test_synchronisation_with_the_device_is_detected() -> None:
    for name in ("bert, mlm", ELMO):
        case, asked = ALL[name], replace(ALL[name].batch().to("meta"), origin=None)  # no copy on the CPU
        with pytest.raises((RuntimeError, NotImplementedError), match="meta"):
            updated(case, case.model(HIDDEN), asked)


def test_only_copies_to_cuda_are_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy from unpinned memory blocks the CPU."""
    pinned: list[Tensor] = []
    monkeypatch.setattr(Tensor, "pin_memory", lambda tensor: pinned.append(tensor) or tensor)
    monkeypatch.setattr(Tensor, "to", lambda tensor, device, non_blocking: (tensor, device, non_blocking))
    values = torch.zeros(2)
    for device in ("cpu", "mps", "cuda"):
        place = torch.device(device)
        assert to_device(values, place) == (values, place, True)
    assert pinned == [values]
    source = Path(kepipe.__file__).parent
    copying = [file for file in source.rglob("*.py") if "non_blocking=True" in file.read_text("utf-8")]
    assert [str(file.relative_to(source)) for file in sorted(copying)] == ["data/batch.py", "nn/gather.py"]


def test_batches_for_a_gpu_are_pinned_by_loader_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch pins nothing without a GPU: the calls are recorded."""
    pinned: list[int] = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: pinned.append(tensor.numel()) or tensor)
    for pin in (False, True):
        loader = MicrobatchLoader(
            lambda number, share: mask_tokens(toy_rows(number), np.random.default_rng(0), share),
            MASKING.criterion.counts,
            settings(),
            0,
            pin=pin,
        )
        made = loader.load(0).batch
        tensors = [value for value in vars(made).values() if isinstance(value, torch.Tensor)]
        assert pinned == ([value.numel() for value in tensors] if pin else [])
