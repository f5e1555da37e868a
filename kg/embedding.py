"""Entity vectors by PyKEEN (Ali et al. 2021): train, resume exactly, score.

PyKEEN is imported here, in `kg.shared_negatives` and `kg.embedding_divergence`, and nowhere else.
"""

from __future__ import annotations

import gc
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np

from kg import embedding_checkpoint
from kg.arrays import Floats32, Ints, Ints32
from kg.early_stopping import BestSoFar
from kg.embedding_divergence import report_divergence, require_finite
from kg.embedding_models import TRANSE, name_model
from kg.embedding_optimizers import OptimizerName, make_optimizer
from kg.pykeen_scorer import NUMBERS_AT_ONCE, PykeenScorer
from kg.ranking import Scorer, Translation, filtered_ranks, summarise
from kg.store import Graph
from kg.warm_start import WarmStart

OnEpoch = Callable[[int, Mapping[str, float]], None]
"""(epoch from 1, metrics): "loss", and "valid_mrr" if it was evaluated in that epoch."""

CHECKPOINT = "embedding.safetensors"
VALIDATED = 1000
"""Maximum number of held-out triples for evaluation during training."""


@dataclass(frozen=True)
class Training:
    """Training settings. Negatives are entities drawn once per batch (`kg.shared_negatives`)."""

    model: str = "TransE"
    """Any model of PyKEEN that is trained on triples only (`kg.embedding_models`)."""
    dim: int = 64
    epochs: int = 15
    batch: int | None = None
    """Triples per step. None: 1024, or fewer so that an epoch has at least 50 steps."""
    negatives: int | None = None
    """Negatives per batch. None: 512 for TransE, whose distances are one matrix product, 64 for other models."""
    learning_rate: float = 0.02
    """Initial learning rate of Adam, which decays linearly to a fiftieth."""
    optimizer: OptimizerName = "adam"
    """See `kg.embedding_optimizers`."""
    norm: Literal[1, 2] = 2
    """The norm of TransE's distance. 2 is much faster."""
    loss: Literal["softmax", "self-adversarial"] = "softmax"
    """softmax: cross-entropy of the true entity among the negatives (Ruffinelli et al. 2020); self-adversarial: Sun et
    al. 2019, eq. 5."""
    margin: float = 9.0
    """Self-adversarial: the distance below which a triple counts as likely."""
    temperature: float = 1.0
    """Self-adversarial: temperature of the weights of negatives; a larger one emphasises hard negatives."""
    validate_every: int = 5
    """Epochs between two evaluations on held-out triples; 0: never."""
    patience: int = 0
    """Early stopping: stop after this many evaluations without improvement, and keep the best vectors; 0: train all
    epochs."""

    def batch_of(self, triples: int) -> int:
        """Triples per step, for a total of `triples`; no step has a single one, which batch norm does not support."""
        batch = min(triples, self.batch or min(1024, max(32, triples // 50)))
        while triples % batch == 1:
            batch += 1
        return batch

    @property
    def is_transe(self) -> bool:
        """Whether distances are one matrix product."""
        return self.model.lower() == TRANSE.lower()

    @property
    def drawn(self) -> int:
        """The number of entities drawn for a batch."""
        return self.negatives or (512 if self.is_transe else 64)


@dataclass(frozen=True)
class Trained:
    """Entity vectors float32 [E, D], relation vectors [R, D'], and a scorer.

    Complex numbers count as two values, matrices are flattened; for models with several tables (SimplE, BoxE), the
    first ones.
    """

    entities: Floats32
    relations: Floats32
    scorer: Scorer


def train(
    graph: Graph,
    settings: Training,
    folder: Path,
    seed: int,
    device: str = "cpu",
    on_epoch: OnEpoch = lambda _epoch, _figures: None,
    save_every: float = 15.0,
    start: WarmStart | None = None,
) -> Trained:
    """Train on the graph's "train" triples, continuing from the checkpoint in `folder` if there is one.

    Entities and relations of `start` begin with its vectors, the others with random ones. A checkpoint is written
    atomically at the end of an epoch if `save_every` seconds have passed. An interruption does not change the resulting
    vectors (with the same seed and threads). Raises ValueError for a model that is not in `kg.embedding_models`, a
    start that does not fit it, and if the loss or the vectors are not finite.
    """
    _pykeen().utils.set_random_seed(seed)
    factory = _factory(graph, graph.triples("train"))
    model = _model(factory, settings, seed).to(device)
    if start is not None:
        _initialise_from(model, settings, start)
    loop = _loop(model, factory, settings)
    checkpoint, best = folder / CHECKPOINT, BestSoFar(settings.patience)
    resumed = embedding_checkpoint.load(checkpoint, loop, best)
    if resumed:
        _set_rate(loop, settings, done=loop._epoch)

    def validate() -> float:
        model.eval()  # no dropout, and no batch statistics
        score = _validate(graph, _trained(model, settings), seed)
        model.train()
        return score

    batch = settings.batch_of(factory.num_triples)
    watched = bool(settings.validate_every) and "valid" in graph.splits
    each = _EachEpoch(loop, settings, checkpoint, on_epoch, save_every, best, validate if watched else None)
    with _without_garbage_collection(), report_divergence(settings.model, settings.learning_rate):
        if not best.should_stop:
            loop.train(
                factory,
                num_epochs=settings.epochs,
                batch_size=batch,
                sub_batch_size=_sub_batch(settings, batch),
                continue_training=resumed,
                use_tqdm=False,
                pin_memory=False,
                callbacks=each.callback(),
                checkpoint_directory=folder,
            )
    best.restore(model)
    trained = _trained(model.eval(), settings)
    require_finite((trained.entities, trained.relations), settings.model, settings.learning_rate)
    return trained


def _pykeen() -> ModuleType:
    try:
        import pykeen.utils
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.partition(".")[0] != "pykeen":
            raise
        raise ModuleNotFoundError(
            "training vectors needs PyKEEN: `pip install pykeen`; everything else works without it",
            name="pykeen",
        ) from None
    return pykeen


def _classes() -> dict[str, Any]:
    """PyKEEN's models by name."""
    from pykeen.models import model_resolver

    return {cls.__name__: cls for cls in model_resolver.lookup_dict.values()}


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Freeze existing objects: PyKEEN runs the garbage collector every epoch, which would traverse all imported
    modules."""
    gc.freeze()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", message="Training instances are always", category=DeprecationWarning
            )
            yield
    finally:
        gc.unfreeze()


def _factory(graph: Graph, triples: Ints32) -> Any:
    import torch
    from pykeen.triples import CoreTriplesFactory

    mapped = torch.from_numpy(triples.astype(np.int64))
    return CoreTriplesFactory(mapped, num_entities=len(graph), num_relations=len(graph.relations))


def _model(factory: Any, settings: Training, seed: int) -> Any:
    from pykeen.losses import CrossEntropyLoss, NSSALoss
    from pykeen.models import ERModel

    from kg.shared_negatives import MatrixTransE

    name = name_model(settings.model)
    loss = (
        CrossEntropyLoss()
        if settings.loss == "softmax"
        else NSSALoss(margin=settings.margin, adversarial_temperature=settings.temperature)
    )
    shared: dict[str, Any] = {"triples_factory": factory, "loss": loss, "random_seed": seed}
    if name == TRANSE:
        # Unconstrained vectors, as in Sun et al. 2019: the unit sphere of the original costs much quality.
        table = {"shape": settings.dim, "initializer": "xavier_uniform"}
        return ERModel(
            interaction=MatrixTransE,
            interaction_kwargs={"p": settings.norm},
            entity_representations_kwargs=table,
            relation_representations_kwargs=table,
            **shared,
        )
    return _classes()[name](embedding_dim=settings.dim, **shared)


def _loop(model: Any, factory: Any, settings: Training) -> Any:
    from kg.shared_negatives import DrawnEntities, SharedNegativesLoop

    return SharedNegativesLoop(
        model=model,
        triples_factory=factory,
        optimizer=make_optimizer(model, settings.model, settings.optimizer, settings.learning_rate),
        negative_sampler=DrawnEntities,
        negative_sampler_kwargs={"num_negs_per_pos": settings.drawn},
        automatic_memory_optimization=False,
    )


def _sub_batch(settings: Training, batch: int) -> int:
    """Triples scored at once: all of a step for TransE; other models keep a vector for each score."""
    if settings.is_transe:
        return batch
    return max(1, min(batch, NUMBERS_AT_ONCE // (settings.drawn * settings.dim)))


def _initialise_from(model: Any, settings: Training, start: WarmStart) -> None:
    """Initialise the model from `start`. Raises ValueError if its tables are not a single one of this dimension."""
    for representations, rows, table in (
        (model.entity_representations, start.entity_rows, start.entities),
        (model.relation_representations, start.relation_rows, start.relations),
    ):
        weights = [getattr(piece, "_embeddings", None) for piece in representations]
        shapes = [tuple(piece.weight.shape[1:]) if piece is not None else () for piece in weights]
        if shapes != [table.shape[1:]]:
            raise ValueError(
                f"cannot continue: the old vectors have dimension {table.shape[1]}, {settings.model} with dim "
                f"{settings.dim} has tables of {shapes}; set the model and dim of the old ones"
            )
        # PyKEEN draws all vectors when training begins, so earlier changes would be lost.
        representations[0].initializer = _overlay(representations[0].initializer, rows, table)


def _overlay(draw: Any, rows: Ints, table: Floats32) -> Any:
    """A PyKEEN initializer that draws all rows, then sets the given ones."""
    import torch

    def initialise(tensor: torch.Tensor) -> torch.Tensor:
        drawn: torch.Tensor = draw(tensor)
        flat_ED = drawn.reshape(len(drawn), -1).clone()
        flat_ED[torch.from_numpy(rows)] = torch.from_numpy(np.array(table)).to(flat_ED)
        return flat_ED.view(drawn.shape)

    return initialise


def _set_rate(loop: Any, settings: Training, done: int) -> None:
    """Set the learning rate after `done` epochs: it decays linearly to a fiftieth."""
    for group in loop.optimizer.param_groups:
        group["lr"] = settings.learning_rate * (1 - 0.98 * done / settings.epochs)


@dataclass
class _EachEpoch:
    """Callback at the end of an epoch: reports metrics, writes a checkpoint from time to time, decays the learning
    rate."""

    loop: Any
    settings: Training
    checkpoint: Path
    on_epoch: OnEpoch
    save_every: float
    best: BestSoFar
    validate: Callable[[], float] | None
    saved: float = field(default_factory=time.monotonic)

    def callback(self) -> Any:
        """This object as a PyKEEN callback."""
        from pykeen.training.callbacks import TrainingCallback

        end = self._end

        class EachEpoch(TrainingCallback):
            def post_epoch(self, epoch: int, epoch_loss: float, **_: Any) -> None:
                end(epoch, float(epoch_loss))

        return EachEpoch()  # type: ignore[no-untyped-call]

    def _end(self, epoch: int, loss: float) -> None:
        figures = {"loss": loss}
        if self.validate is not None and epoch % self.settings.validate_every == 0:
            figures["valid_mrr"] = self.validate()
            self.best.add(figures["valid_mrr"], self.loop.model)
        self.on_epoch(epoch, figures)
        self.loop._should_stop = self.best.should_stop
        if time.monotonic() - self.saved >= self.save_every:
            self._save()
            self.saved = time.monotonic()
        _set_rate(self.loop, self.settings, done=epoch)

    def _save(self) -> None:
        """Write a checkpoint."""
        # PyKEEN's checksum is of the initial learning rate.
        _set_rate(self.loop, self.settings, done=0)
        embedding_checkpoint.save(self.checkpoint, self.loop, self.best)


def _validate(graph: Graph, trained: Trained, seed: int) -> float:
    """The filtered MRR on a fixed sample of the held-out triples."""
    held_out = graph.triples("valid")
    order = np.random.default_rng([seed, 1]).permutation(len(held_out))
    ranks = filtered_ranks(graph, held_out[np.sort(order[:VALIDATED])], trained.scorer)
    return summarise(ranks)["mrr"]


def _trained(model: Any, settings: Training) -> Trained:
    entities = _flat(model.entity_representations[0])
    relations = _flat(model.relation_representations[0])
    if settings.is_transe:
        return Trained(entities, relations, Translation(entities, relations, settings.norm))
    return Trained(entities, relations, PykeenScorer(model, entities.shape[1]))


def _flat(representation: Any) -> Floats32:
    import torch

    with torch.inference_mode():
        values = representation(indices=None).detach().cpu()
    values = torch.view_as_real(values) if values.is_complex() else values
    return np.asarray(values.reshape(len(values), -1).numpy(), np.float32)
