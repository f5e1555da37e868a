"""Vectors for entities that came after training, from those of their neighbours.

An R-GCN layer (Schlichtkrull et al. 2018, eq. 2) on top of translation vectors. The new entity v receives from each
neighbour u along direction k the message  W_k (u + t_k),  t_k = r_k from head to tail and −r_k back, and takes their
mean, weighted by a learned importance of each direction (the paper's 1/c, "either learned or chosen in advance").
W_k = I + Σ_b a_kb V_b is the basis decomposition (eq. 3) around the identity: untrained, the layer gives the mean
of the translated neighbours.

It is trained on known entities as if they were new: their own vector is withheld, a random part of their edges is
given, and the predicted vector must rank both ends of a withheld edge, and be close to the entity's own vector.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kg.arrays import Floats32, Ints
from kg.neighbourhood import Neighbourhood, pool
from kg.regular_files import require_regular
from kg.store import Triples

if TYPE_CHECKING:
    from torch import Tensor

OnStep = Callable[[int, float], None]
"""(step from 1, loss)."""


@dataclass(frozen=True)
class InductiveTraining:
    """How the encoder is trained."""

    steps: int = 200
    batch: int = 512
    """Entities a step."""
    fanout: int = 12
    """The most given edges of an entity."""
    negatives: int = 256
    """Other entities among which the true one must be found."""
    bases: int = 8
    learning_rate: float = 0.003
    stay: float = 2.0
    """Weight of the distance to the entity's own vector."""
    norm: float = 2.0
    """Of the distance by which the vectors were trained."""


@dataclass(frozen=True)
class Encoder:
    """The trained layer: t [2R, D], a [2R, B], V [B, D, D], and the logits of the importances [2R]."""

    shifts: Tensor
    shares: Tensor
    bases: Tensor
    logits: Tensor

    @classmethod
    def start(cls, relations: Floats32, bases: int, seed: int) -> Encoder:
        """The untrained layer over the relations' vectors [R, D]: the mean of the translated neighbours."""
        import torch

        count, dim = relations.shape
        draw = torch.Generator().manual_seed(seed)
        shift = torch.from_numpy(np.concatenate([relations, -relations]))
        directions = torch.randn(bases, dim, dim, generator=draw) / dim**0.5
        return cls(shift, torch.zeros(2 * count, bases), directions, torch.zeros(2 * count))

    def to(self, device: str) -> Encoder:
        """The layer on a device."""
        return Encoder(*(parameter.to(device) for parameter in self.parameters()))

    def encode(self, edges: Ints, rows: Ints, entities_ED: Tensor) -> Tensor:
        """Vectors of `rows`, distinct and ascending, from edges (neighbour, direction, row): [n, D]. `entities_ED`: on
        the layer's device."""
        import torch

        device = self.shifts.device
        neighbour, direction, _ = torch.from_numpy(np.ascontiguousarray(edges.T)).to(device)
        moved_ND = entities_ED[neighbour] + self.shifts[direction]
        # Σ_b a_kb (m V_b), without one matrix per message.
        turned_NBD = torch.einsum("nd,bde->nbe", moved_ND, self.bases)
        messages_ND = moved_ND + torch.einsum("nb,nbe->ne", self.shares[direction], turned_NBD)
        place = torch.from_numpy(np.searchsorted(rows, edges[:, 2])).to(device)
        return pool(messages_ND, self.logits[direction], place, len(rows))

    def parameters(self) -> list[Tensor]:
        return [self.shifts, self.shares, self.bases, self.logits]

    def save(self, file: Path) -> None:
        """Write the layer as safetensors."""
        from safetensors.torch import save_file

        save_file({piece.name: getattr(self, piece.name).contiguous() for piece in fields(self)}, file)

    @classmethod
    def load(cls, file: Path) -> Encoder:
        """The layer that `save` wrote. Raises ValueError where the file holds another thing."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            require_regular(file)
            tensors = load_file(file)
        except (OSError, SafetensorError) as error:
            raise ValueError(f"{file}: no R-GCN layer ({error})") from None
        if tensors.keys() != {piece.name for piece in fields(cls)}:
            raise ValueError(f"{file}: no R-GCN layer; it holds {', '.join(sorted(tensors))}")
        return cls(**tensors)


def train_encoder(
    around: Neighbourhood,
    entities: Floats32,
    relations: Floats32,
    settings: InductiveTraining,
    seed: int,
    on_step: OnStep = lambda _step, _loss: None,
    device: str = "cpu",
) -> Encoder:
    """Train on entities [E, D] and relations [R, D] of a translation model, which stay as they are.

    Edges are drawn on the CPU; the layer, which is returned there, is computed on `device`. Same seed and threads, same
    encoder, on a GPU up to rounding. Raises ValueError for a graph without edges.
    """
    import torch

    candidates = np.flatnonzero(around.degrees >= 2)
    if not len(candidates):
        raise ValueError("no entity has two triples: nothing to learn from")
    encoder = Encoder.start(relations, settings.bases, seed).to(device)
    shifts_KD = encoder.shifts.clone()
    for parameter in encoder.parameters():
        parameter.requires_grad_()
    optimiser = torch.optim.Adam(encoder.parameters(), lr=settings.learning_rate)
    entities_ED = torch.from_numpy(np.array(entities, np.float32)).to(device)
    for step in range(1, settings.steps + 1):
        for group in optimiser.param_groups:
            group["lr"] = settings.learning_rate * (1 - (step - 1) / settings.steps)
        rng = np.random.default_rng([seed, step])
        visible, targets, rows = _draw_batch(around, candidates, settings, rng)
        predicted_nD = encoder.encode(visible, rows, entities_ED)
        others = rng.integers(0, len(entities), settings.negatives)
        loss = _loss(predicted_nD, targets, shifts_KD, entities_ED, others, settings.norm)
        own_nD = entities_ED[torch.from_numpy(rows)]
        away_n = torch.linalg.vector_norm(predicted_nD - own_nD, settings.norm, dim=1)
        loss = loss + settings.stay * away_n.mean()
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        on_step(step, float(loss.detach()))
    for parameter in encoder.parameters():
        parameter.requires_grad_(False)
    return encoder.to("cpu")


def _draw_batch(
    around: Neighbourhood, candidates: Ints, settings: InductiveTraining, rng: np.random.Generator
) -> tuple[Ints, Ints, Ints]:
    """A batch of entities that are treated as new: their visible edges, one target edge of each, and the entities.

    All edges to the neighbour of the target edge are hidden, so that no other relation reveals it.
    """
    sample = rng.choice(candidates, min(settings.batch, len(candidates)), replace=False)
    edges = around.sample(sample, settings.fanout + 1, int(rng.integers(2**31)))
    edges = edges[rng.permutation(len(edges))]
    rows, first, place = np.unique(edges[:, 2], return_index=True, return_inverse=True)
    targets = edges[first]
    visible = edges[edges[:, 0] != targets[place, 0]]
    has_visible = np.isin(rows, visible[:, 2])
    return visible, targets[has_visible], rows[has_visible]


def _loss(
    predicted_nD: Tensor, targets: Ints, shifts_KD: Tensor, entities_ED: Tensor, others: Ints, norm: float
) -> Tensor:
    """Cross entropy of both predictions: which neighbour u is at v − t_k, and which entity v is at u + t_k?

    Both require the distance of v from u + t_k to be less than those of negatives from `others`.
    """
    import torch

    device = entities_ED.device
    neighbour, direction, _ = torch.from_numpy(np.ascontiguousarray(targets.T)).to(device)
    others_MD = entities_ED[torch.from_numpy(others)]
    end_nD, shift_nD = entities_ED[neighbour], shifts_KD[direction]
    near_n1 = torch.linalg.vector_norm(predicted_nD - shift_nD - end_nD, norm, dim=1, keepdim=True)
    target_n = torch.zeros(len(targets), dtype=torch.long, device=device)
    loss = torch.zeros((), device=device)
    # The targets themselves are not negatives.
    for point_nD, right_n in ((predicted_nD - shift_nD, targets[:, 0]), (end_nD + shift_nD, targets[:, 2])):
        far_nM = torch.cdist(point_nD, others_MD, p=norm)
        wrong_nM = torch.from_numpy(others[None] == right_n[:, None]).to(device)
        far_nM = far_nM.masked_fill(wrong_nM, float("inf"))
        loss = loss + torch.nn.functional.cross_entropy(-torch.cat([near_n1, far_nM], dim=1), target_n)
    return loss


def embed_new(encoder: Encoder, triples: Triples, rows: Ints, entities: Floats32) -> Floats32:
    """Vectors [n, D] of new entities `rows`, from the triples that tie them to known ones; zeros where none does.

    `entities` [E, D] has a row for each entity of the triples; the rows of new ones are not looked at.
    """
    import torch

    rows, order = np.unique(rows, return_inverse=True)
    edges = edges_into(triples, rows, len(encoder.shifts) // 2)
    with torch.no_grad():
        return np.asarray(encoder.encode(edges, rows, torch.from_numpy(np.array(entities))).numpy()[order])


def edges_into(triples: Triples, rows: Ints, relations: int) -> Ints:
    """The edges from known entities into `rows`: int64 [n, 3] neighbour, direction, row."""
    facts = triples.astype(np.int64)
    backward = facts[:, ::-1] + [0, relations, 0]
    edges = np.concatenate([facts, backward])
    return edges[np.isin(edges[:, 2], rows) & ~np.isin(edges[:, 0], rows)]


def average_neighbours(triples: Triples, rows: Ints, entities: Floats32, relations: int) -> Floats32:
    """The baseline: the mean of the neighbours' vectors, whatever the relation: [n, D], zeros where none is."""
    edges = edges_into(triples, rows, relations)
    known, place = np.unique(rows, return_inverse=True)
    sums = np.zeros((len(known), entities.shape[1]), np.float64)
    at = np.searchsorted(known, edges[:, 2])
    np.add.at(sums, at, entities[edges[:, 0]])
    counts = np.bincount(at, minlength=len(known))
    return np.asarray((sums / np.maximum(counts, 1)[:, None])[place], np.float32)


@dataclass(frozen=True)
class InductiveSplit:
    """`rows`: the held-out entities, which occur in no triple of `train`. `context`: the triples that are given for
    them; `queries`: those to predict."""

    rows: Ints
    train: Triples
    context: Triples
    queries: Triples


def hold_out_entities(triples: Triples, rng: np.random.Generator, share: float = 0.05) -> InductiveSplit:
    """Hold out a share of the entities; each triple of one with a known entity becomes a query with probability 1/2.

    At least one triple of each held-out entity stays given. Triples between two held-out entities are left out.
    """
    entities = np.unique(triples[:, [0, 2]])
    rows = np.sort(rng.choice(entities, max(1, round(share * len(entities))), replace=False)).astype(np.int64)
    new = np.isin(triples[:, [0, 2]], rows)
    bridging = triples[new.sum(axis=1) == 1]
    bridging = bridging[rng.permutation(len(bridging))]
    owner = np.where(np.isin(bridging[:, 0], rows), bridging[:, 0], bridging[:, 2])
    is_given = rng.random(len(bridging)) < 0.5
    is_given[np.unique(owner, return_index=True)[1]] = True
    return InductiveSplit(rows, triples[~new.any(axis=1)], bridging[is_given], bridging[~is_given])
