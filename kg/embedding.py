"""Entity vectors by PyKEEN (Ali et al. 2021): train, resume exactly, score. The only place that imports PyKEEN."""

from __future__ import annotations

import gc
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kg.ranking import Floats, Rows, Scorer, Translation
from kg.store import Graph
from kg.warm import Start

OnEpoch = Callable[[int, float], None]
"""Told the number of an epoch, from 1, and its mean loss."""

CHECKPOINT = "embedding.pt"

_MODEL_ARGUMENTS: dict[str, dict[str, Any]] = {
    # Sun et al. 2019 train TransE with free vectors and L1: the unit sphere of the original costs much quality.
    "transe": {"scoring_fct_norm": 1, "entity_constrainer": None, "relation_constrainer": None},
}


@dataclass(frozen=True)
class Training:
    """How to train. The loss is self-adversarial negative sampling (Sun et al. 2019, eq. 5)."""

    model: str = "TransE"
    """Any model that PyKEEN knows by name and that takes `embedding_dim`."""
    dim: int = 64
    epochs: int = 15
    batch: int = 2048
    """Triples a step."""
    negatives: int = 16
    """Corrupted triples for each true one."""
    learning_rate: float = 0.03
    """Of Adam at the start; it falls in a line to a fiftieth."""
    margin: float = 9.0
    temperature: float = 1.0
    """How much harder negatives count more."""


@dataclass(frozen=True)
class Trained:
    """Vectors float32 [E, D] and [R, D] (a complex number counts as two), and what scores with them."""

    entities: npt.NDArray[np.float32]
    relations: npt.NDArray[np.float32]
    scorer: Scorer


def train(
    graph: Graph,
    settings: Training,
    folder: Path,
    seed: int,
    device: str = "cpu",
    on_epoch: OnEpoch = lambda _epoch, _loss: None,
    save_every: float = 15.0,
    start: Start | None = None,
) -> Trained:
    """Train on the graph's "train" triples, continuing from the checkpoint in `folder` if there is one.

    Entities and relations of `start` begin with its vectors, the others with random ones. A checkpoint is written at
    the end of an epoch when `save_every` seconds have passed, in one step, so that a kill leaves the last one whole.
    Interrupted or not, the vectors are the same (same seed and threads).
    Raises ValueError for a model that PyKEEN does not have, or a start that does not fit it.
    """
    from pykeen.training import SLCWATrainingLoop
    from pykeen.utils import set_random_seed
    from torch.optim import Adam

    set_random_seed(seed)
    factory = _factory(graph, graph.triples("train"))
    model = _model(factory, settings, seed).to(device)
    if start is not None:
        _begin_with(model, settings, start)
    loop = SLCWATrainingLoop(
        model=model,
        triples_factory=factory,
        optimizer=Adam(model.parameters(), lr=settings.learning_rate),
        negative_sampler_kwargs={"num_negs_per_pos": settings.negatives},
        automatic_memory_optimization=False,
    )
    checkpoint = folder / CHECKPOINT
    resumed = checkpoint.is_file()
    if resumed:
        loop._load_state(checkpoint, triples_factory=factory)
        _set_rate(loop, settings, done=loop._epoch)
    with _undisturbed():
        loop.train(
            factory,
            num_epochs=settings.epochs,
            batch_size=min(settings.batch, factory.num_triples),
            continue_training=resumed,
            use_tqdm=False,
            pin_memory=False,
            callbacks=_each_epoch(loop, settings, checkpoint, on_epoch, save_every),
            checkpoint_directory=folder,
        )
    return _trained(model.eval(), settings)


def known_models() -> list[str]:
    """The names of PyKEEN's models."""
    from pykeen.models import model_resolver

    return sorted(cls.__name__ for cls in model_resolver.lookup_dict.values())


@contextmanager
def _undisturbed() -> Iterator[None]:
    """PyKEEN collects garbage every epoch, which walks over all that was imported unless it is set aside."""
    gc.freeze()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", message="Training instances are always", category=DeprecationWarning
            )
            yield
    finally:
        gc.unfreeze()


def _factory(graph: Graph, triples: npt.NDArray[np.int32]) -> Any:
    import torch
    from pykeen.triples import CoreTriplesFactory

    mapped = torch.from_numpy(triples.astype(np.int64))
    return CoreTriplesFactory(mapped, num_entities=len(graph), num_relations=len(graph.relations))


def _model(factory: Any, settings: Training, seed: int) -> Any:
    from pykeen.losses import NSSALoss
    from pykeen.models import model_resolver

    name = settings.model.lower()
    if name not in model_resolver.lookup_dict:
        raise ValueError(f"embedding model {settings.model!r}: PyKEEN has {', '.join(known_models())}")
    make: Any = model_resolver.lookup_dict[name]
    return make(
        triples_factory=factory,
        embedding_dim=settings.dim,
        loss=NSSALoss(margin=settings.margin, adversarial_temperature=settings.temperature),
        random_seed=seed,
        **_MODEL_ARGUMENTS.get(name, {}),
    )


def _begin_with(model: Any, settings: Training, start: Start) -> None:
    """Let the model begin with `start`. Raises ValueError where it has other tables than one of this width."""
    for representations, rows, table in (
        (model.entity_representations, start.entity_rows, start.entities),
        (model.relation_representations, start.relation_rows, start.relations),
    ):
        weights = [getattr(piece, "_embeddings", None) for piece in representations]
        shapes = [tuple(piece.weight.shape[1:]) if piece is not None else () for piece in weights]
        if shapes != [table.shape[1:]]:
            raise ValueError(
                f"cannot continue: the old vectors have the width {table.shape[1]}, {settings.model} with dim "
                f"{settings.dim} has tables of {shapes}; set the model and dim that made the old ones"
            )
        # PyKEEN draws all vectors when training begins; what is set before would be lost.
        representations[0].initializer = _overlay(representations[0].initializer, rows, table)


def _overlay(draw: Any, rows: npt.NDArray[np.int64], table: npt.NDArray[np.float32]) -> Any:
    """An initializer of PyKEEN's that draws, and then sets the given rows."""
    import torch

    def initialise(tensor: torch.Tensor) -> torch.Tensor:
        drawn: torch.Tensor = draw(tensor)
        flat_ED = drawn.reshape(len(drawn), -1).clone()
        flat_ED[torch.from_numpy(rows)] = torch.from_numpy(np.array(table)).to(flat_ED)
        return flat_ED.view(drawn.shape)

    return initialise


def _set_rate(loop: Any, settings: Training, done: int) -> None:
    """The learning rate after `done` epochs: it falls in a line, to a fiftieth at the end."""
    for group in loop.optimizer.param_groups:
        group["lr"] = settings.learning_rate * (1 - 0.98 * done / settings.epochs)


def _each_epoch(loop: Any, settings: Training, checkpoint: Path, on_epoch: OnEpoch, save_every: float) -> Any:
    """A PyKEEN callback: tell the loss, save now and then, lower the learning rate."""
    from pykeen.training.callbacks import TrainingCallback

    class EachEpoch(TrainingCallback):
        saved = time.monotonic()

        def post_epoch(self, epoch: int, epoch_loss: float, **_: Any) -> None:
            on_epoch(epoch, float(epoch_loss))
            if time.monotonic() - self.saved >= save_every:
                # PyKEEN takes a checkpoint for its own only if the learning rate is the one set at first.
                _set_rate(loop, settings, done=0)
                unfinished = checkpoint.with_suffix(".partial")
                loop._save_state(unfinished)
                unfinished.replace(checkpoint)
                self.saved = time.monotonic()
            _set_rate(loop, settings, done=epoch)

    return EachEpoch()  # type: ignore[no-untyped-call]


def _trained(model: Any, settings: Training) -> Trained:
    entities = _flat(model.entity_representations[0])
    relations = _flat(model.relation_representations[0])
    if settings.model.lower() == "transe":
        return Trained(entities, relations, Translation(entities, relations))
    return Trained(entities, relations, Scored(model))


def _flat(representation: Any) -> npt.NDArray[np.float32]:
    import torch

    with torch.inference_mode():
        values = representation(indices=None).detach().cpu()
    values = torch.view_as_real(values) if values.is_complex() else values
    return np.asarray(values.reshape(len(values), -1).numpy(), np.float32)


@dataclass(frozen=True)
class Scored:
    """Distances of a PyKEEN model: the negative of its scores."""

    model: Any

    def tails(self, heads: Rows, relations: Rows) -> Floats:
        return self._negative("score_t", heads, relations)

    def heads(self, relations: Rows, tails: Rows) -> Floats:
        return self._negative("score_h", relations, tails)

    def _negative(self, method: str, first: Rows, second: Rows) -> Floats:
        import torch

        asked = torch.from_numpy(np.stack([first, second], axis=1)).to(self.model.device)
        with torch.inference_mode():
            return np.asarray((-getattr(self.model, method)(asked)).cpu().numpy())
