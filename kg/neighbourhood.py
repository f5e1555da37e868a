"""Neighbourhoods of entities with DGL: sampling, random walks, personalised PageRank. The only module that imports DGL.

Every triple is an edge in both directions: *direction* k < R is relation k from head to tail, k + R from tail to head.
"""

from __future__ import annotations

import os
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from kg.arrays import Floats, Ints
from kg.store import Triples

if TYPE_CHECKING:
    from torch import Tensor


class Neighbourhood:
    """The edges of int32 [n, 3] triples among `entities` entities. Raises ModuleNotFoundError without DGL."""

    def __init__(self, triples: Triples, entities: int, relations: int) -> None:
        import torch

        dgl = _dgl()
        heads, kinds, tails = torch.from_numpy(np.array(triples, np.int64).reshape(-1, 3)).T
        self.entities, self.relations = entities, relations
        self._graph = dgl.graph((torch.cat([heads, tails]), torch.cat([tails, heads])), num_nodes=entities)
        self._graph.edata["direction"] = torch.cat([kinds, kinds + relations])
        # The index is built now, so that later calls do not include its time.
        self._graph.create_formats_()

    @property
    def degrees(self) -> Ints:
        """In-degrees: int64 [E]."""
        return np.asarray(self._graph.in_degrees().numpy())

    def sample(self, rows: Ints, most: int, seed: int) -> Ints:
        """Up to `most` edges into each of `rows`, sampled without replacement (−1: all).

        int64 [n, 3]: neighbour, direction, row. Deterministic for a seed and number of threads. Raises ValueError for
        an invalid row.
        """
        self._check(rows)
        dgl = _dgl()
        dgl.seed(seed)
        drawn = dgl.sampling.sample_neighbors(self._graph, np.unique(rows), most)
        neighbours, targets = drawn.edges()
        edges = np.stack([neighbours.numpy(), drawn.edata["direction"].numpy(), targets.numpy()], axis=1)
        return np.asarray(edges[np.lexsort(edges.T)])

    def walk(self, rows: Ints, length: int, seed: int) -> Ints:
        """A uniform random walk of `length` steps from each row: int64 [n, length + 1], −1 after a dead end.

        Raises ValueError for an invalid row.
        """
        self._check(rows)
        dgl = _dgl()
        dgl.seed(seed)
        traces, _ = dgl.sampling.random_walk(self._graph, np.asarray(rows, np.int64), length=length)
        return np.asarray(traces.numpy())

    def _check(self, rows: Ints) -> None:
        """Raise ValueError for an invalid row, which would crash DGL."""
        wrong = rows[(rows < 0) | (rows >= self.entities)]
        if len(wrong):
            raise ValueError(f"row {int(wrong[0])}: the graph has {self.entities:,} entities")

    def pagerank(
        self,
        restart: Floats,
        damping: float = 0.85,
        tolerance: float = 1e-9,
        most_steps: int = 200,
    ) -> Floats:
        """Personalised PageRank: the stationary distribution of a random walk with restart probability 1 − damping.

        p = d·A D⁻¹ p + (1 − d)·s, with s the normalised `restart` [E] (Page et al. 1999, section 6); the walk also
        restarts at entities without edges. Iterated until p changes by less than `tolerance` (L1): float64 [E]. Raises
        ValueError if `restart` is negative or all zero.
        """
        import torch

        if restart.shape != (self.entities,) or (restart < 0).any() or not restart.sum() > 0:
            raise ValueError(f"restart: expected {self.entities} weights, none negative and not all zero")
        function = _dgl().function
        start = torch.from_numpy(np.asarray(restart / restart.sum(), np.float64))
        degrees = self._graph.out_degrees().double()
        share = torch.where(degrees > 0, 1 / degrees.clamp(min=1), 0.0)
        at = start
        with self._graph.local_scope():
            for _ in range(most_steps):
                self._graph.ndata["sent"] = at * share
                self._graph.update_all(function.copy_u("sent", "got"), function.sum("got", "arrived"))
                stuck = at[degrees == 0].sum()
                following = damping * (self._graph.ndata["arrived"] + stuck * start) + (1 - damping) * start
                moved = float((following - at).abs().sum())
                at = following
                if moved < tolerance:
                    break
        return np.asarray(at.numpy())


def pool(messages_ND: Tensor, logits_N: Tensor, targets_N: Tensor, count: int) -> Tensor:
    """Mean of the messages to each of `count` targets, weighted by a softmax of their logits: [count, D].

    A target without messages gets zeros. Uses DGL on a CPU; elsewhere torch, since DGL's wheels have no other kernels.
    """
    import torch

    if messages_ND.device.type != "cpu":
        return _pool_by_torch(messages_ND, logits_N, targets_N, count)
    dgl = _dgl()
    messages = len(targets_N)
    graph = dgl.create_block((torch.arange(messages), targets_N), messages, count)
    weights_N = dgl.ops.edge_softmax(graph, logits_N[:, None])
    pooled: Tensor = dgl.ops.copy_e_sum(graph, messages_ND * weights_N)
    return pooled


def _pool_by_torch(messages_ND: Tensor, logits_N: Tensor, targets_N: Tensor, count: int) -> Tensor:
    highest = logits_N.new_full((count,), -float("inf")).scatter_reduce(0, targets_N, logits_N, "amax")
    weights_N = (logits_N - highest.detach()[targets_N]).exp()
    sums = logits_N.new_zeros(count).index_add(0, targets_N, weights_N)
    shares_N1 = (weights_N / sums[targets_N])[:, None]
    return messages_ND.new_zeros(count, messages_ND.shape[1]).index_add(0, targets_N, messages_ND * shares_N1)


def _dgl() -> ModuleType:
    os.environ.setdefault(
        "DGLBACKEND", "pytorch"
    )  # otherwise DGL writes a file into the home folder, and prints
    try:
        import dgl
    except ModuleNotFoundError as missing:
        if missing.name != "dgl":
            raise
        raise ModuleNotFoundError(
            "sampling, PageRank and vectors for new entities need DGL, which has wheels for Python up to 3.11: "
            "`pip install 'dgl>=1.1.3,<2'`; everything else works without it",
            name="dgl",
        ) from None
    module: Any = dgl
    return module  # type: ignore[no-any-return]
