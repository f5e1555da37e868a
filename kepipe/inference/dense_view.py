"""Self-alignment of token vectors with a graph's own words: names of one entity are pulled together, and a text that
names an entity is pulled to the entity's description.

The vectors start as the token embeddings of any encoder. Training is that of Liu et al. 2021, "Self-Alignment
Pretraining for Biomedical Entity Representations" (SapBERT), §2: pairs from the graph alone, a contrastive loss, hard
negatives; the loss is InfoNCE (`contrastive_loss`). Pairs of contexts and descriptions are added, since candidates of
one mention differ by their descriptions, not by their names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kepipe.arrays import Ints
from kepipe.inference.opening import load_encoder
from kepipe.linking.kb.dense import DenseView, entity_names, entity_texts
from kepipe.linking.linker import Linker
from kepipe.linking.training.context_pairs import NO_PAIRS, context_pairs
from kepipe.models.protocols import ExtensibleVocabulary
from kepipe.objectives.contrastive.loss import contrastive_loss
from kepipe.tokenization.tokenizer import Tokenizer, load_tokenizer
from kg.store import Graph

BATCH = 256
"""Pairs of a step: half of them contexts and descriptions, half of them names, where the graph has both."""
TEMPERATURE = 0.05
LEARNING_RATE = 2e-3
MAX_TOKENS = 64
"""Tokens of a description or name that training reads: the first ones. Contexts, which are cut around a mention, are
read to their ends."""
MINE_EVERY = 100
"""Every so many steps, texts are drawn and their vectors are computed, among which hard negatives are looked up."""
MINED = 20_000
"""So many descriptions are drawn, and so many names; all where there are fewer."""
NEAREST = 5
"""The hard negative of a text is one of this many nearest texts, drawn at random."""
RARE = 1e-3
"""A token with share p of all tokens of the graph has weight RARE / (RARE + p) (Arora et al. 2017, §3)."""
OnStep = Callable[[int, float, float], None]
"""Called with the number of steps done, the loss and the accuracy of the last one."""


def build_dense_view(
    linker: Linker,
    graph: Graph,
    model: Path,
    steps: int = 1000,
    language: Literal["en", "zh"] = "en",
    *,
    seed: int = 0,
    on_step: OnStep = lambda *_: None,
) -> DenseView:
    """The dense view of a linker's graph, from the token embeddings of a model folder; with 0 steps as they are.

    Raises ValueError for a model without token embeddings, and where there is nothing to align: no entity with two
    names, no triples, and no mention in a description.
    """
    encoder, tokenizer = load_encoder(model), load_tokenizer(model)
    if not isinstance(encoder, ExtensibleVocabulary):
        raise ValueError(f"{model}: this model has no token embeddings, with which a dense view begins")
    return align_tokens(encoder, tokenizer, linker, graph, steps, language, seed=seed, on_step=on_step)


def align_tokens(
    encoder: ExtensibleVocabulary,
    tokenizer: Tokenizer,
    linker: Linker,
    graph: Graph,
    steps: int,
    language: Literal["en", "zh"] = "en",
    *,
    seed: int = 0,
    on_step: OnStep = lambda *_: None,
) -> DenseView:
    """See `build_dense_view`, for an open encoder."""
    contexts = context_pairs(linker, graph, language) if steps else NO_PAIRS
    names, name_rows = entity_names(graph)
    texts = TokenRows.of([*entity_texts(graph), *names], contexts.texts, tokenizer)
    rows = np.concatenate((np.arange(len(graph)), name_rows, contexts.rows))
    embeddings = encoder.token_embeddings.weight.detach().float()
    aligner = _Aligner.of(embeddings, texts, rows, (len(graph), len(names)), contexts.rivals, seed)
    if steps:
        aligner.train(steps, on_step)
    tokens = (aligner.bag.weight.detach() * aligner.weights[:, None]).numpy().astype(np.float16)
    return DenseView.of(graph, tokenizer, tokens, {"steps": steps})


@dataclass(frozen=True)
class TokenRows:
    """Texts as tokens: those of text n are `tokens[starts[n] : stops[n]]`."""

    tokens: Tensor
    starts: Ints
    stops: Ints

    @classmethod
    def of(cls, texts: list[str], contexts: list[str], tokenizer: Tokenizer) -> TokenRows:
        """At most `MAX_TOKENS` tokens of each of `texts`, then all tokens of each context."""
        encoded = tokenizer.encode([*texts, *contexts])
        stops = np.cumsum(encoded.lengths)
        starts = stops - encoded.lengths
        shortened = np.minimum(stops, starts + MAX_TOKENS)
        stops[: len(texts)] = shortened[: len(texts)]
        return cls(torch.from_numpy(encoded.tokens), starts, stops)

    def take(self, texts: Ints) -> tuple[Tensor, Tensor]:
        """The tokens of some texts, and where each of them begins."""
        counts = self.stops[texts] - self.starts[texts]
        before = np.cumsum(counts) - counts
        places = np.repeat(self.starts[texts] - before, counts) + np.arange(counts.sum())
        return self.tokens[torch.from_numpy(places)], torch.from_numpy(before)


@dataclass
class _Aligner:
    """Token vectors in training (`bag` [V, D], `weights` [V]).

    The texts are `entities` descriptions, then `names` names, then contexts; `rows`: the entity of each text;
    `rivals`: for each context the likeliest other entity with the mention's name, −1 none. `mined`: descriptions and
    names among which hard negatives are looked up, and their vectors.
    """

    bag: nn.EmbeddingBag
    weights: Tensor
    texts: TokenRows
    rows: Ints
    entities: int
    names: int
    rivals: Ints
    rng: np.random.Generator
    mined: tuple[tuple[Ints, Tensor], ...] = ()

    @classmethod
    def of(
        cls,
        embeddings: Tensor,
        texts: TokenRows,
        rows: Ints,
        sizes: tuple[int, int],
        rivals: Ints,
        seed: int,
    ) -> _Aligner:
        bag = nn.EmbeddingBag.from_pretrained(embeddings.clone(), freeze=False, mode="sum", sparse=True)
        shares = torch.bincount(texts.tokens, minlength=len(embeddings)) / max(len(texts.tokens), 1)
        return cls(bag, RARE / (RARE + shares), texts, rows, *sizes, rivals, np.random.default_rng(seed))

    def vectors(self, texts: Ints) -> Tensor:
        """Unit vectors: [texts, D]."""
        tokens_N, starts_B = self.texts.take(texts)
        summed_BD: Tensor = self.bag(tokens_N, starts_B, per_sample_weights=self.weights[tokens_N])
        return F.normalize(summed_BD, dim=1)

    def train(self, steps: int, on_step: OnStep) -> None:
        """Train on pairs that are drawn anew in each step.

        The wrong texts of a pair are the second texts of the other pairs, and the hard negatives of all pairs. Raises
        ValueError where no pair can be drawn.
        """
        counts = np.bincount(self.rows[self.entities :][: self.names], minlength=self.entities)
        synonyms = self.entities + np.flatnonzero(np.repeat(counts, counts) > 1)
        if not len(synonyms) and not len(self.rivals):
            raise ValueError(
                "dense: no entity of the graph has two names, it has no triples, and its descriptions name no other "
                "entity: there is nothing to align on"
            )
        optimizer = torch.optim.SparseAdam(self.bag.parameters(), lr=LEARNING_RATE)
        for step in range(steps):
            if step % MINE_EVERY == 0:
                described = self._mine(0, self.entities)
                self.mined = described, self._mine(self.entities, self.names)
            first, second, rivals = self._draw(synonyms, counts)
            first_PD, others = self.vectors(first), [self.vectors(second)]
            negatives = self._negatives(first_PD.detach(), first, rivals)
            if negatives is not None:
                others.append(self.vectors(negatives))
            same_P = torch.from_numpy(self.rows[first])
            loss, accuracy = contrastive_loss(first_PD, others, same_P, TEMPERATURE)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()  # type: ignore[no-untyped-call]
            on_step(step + 1, loss.item(), accuracy.item())

    def _draw(self, synonyms: Ints, counts: Ints) -> tuple[Ints, Ints, Ints]:
        """First and second texts of the pairs of a step, and their rivals."""
        contexts = BATCH if not len(synonyms) else BATCH // 2 if len(self.rivals) else 0
        drawn = self.rng.integers(0, max(len(self.rivals), 1), min(contexts, len(self.rivals)))
        from_context = self.entities + self.names + drawn
        name = self.rng.choice(synonyms, min(BATCH - contexts, len(synonyms)))
        row = self.rows[name]
        begin = self.entities + (np.cumsum(counts) - counts)[row]
        other = begin + (name - begin + self.rng.integers(1, np.maximum(counts[row], 2))) % counts[row]
        first = np.concatenate((from_context, name))
        second = np.concatenate((self.rows[from_context], other))
        return first, second, np.concatenate((self.rivals[drawn], np.full(len(name), -1)))

    @torch.no_grad()
    def _mine(self, begin: int, count: int, block: int = 1024) -> tuple[Ints, Tensor]:
        """At most `MINED` of the texts from `begin` on, and their vectors."""
        texts = begin + self.rng.permutation(count)[:MINED]
        return texts, torch.cat(
            [self.vectors(part) for part in np.array_split(texts, -(-len(texts) // block))]
        )

    def _negatives(self, vectors_BD: Tensor, first: Ints, rivals: Ints) -> Ints | None:
        """A hard negative for each first text.

        A context has the description of its rival; without a rival, one of the nearest descriptions. A name has one of
        the nearest names. No hard negative belongs to an entity of the batch. None where all texts drawn belong to
        entities of the batch.
        """
        negatives = np.where(np.isin(rivals, self.rows[first]), -1, rivals)
        contexts = first >= self.entities + self.names
        for (texts, mined_MD), kind in zip(self.mined, (contexts, ~contexts), strict=True):
            wrong = np.flatnonzero(~np.isin(self.rows[texts], self.rows[first]))
            wanted = np.flatnonzero(kind & (negatives < 0))
            if not len(wrong):
                return None
            if len(wanted):
                cosines = vectors_BD[wanted] @ mined_MD[wrong].T
                nearest = cosines.topk(min(NEAREST, len(wrong)), dim=1).indices.numpy()
                chosen = self.rng.integers(0, nearest.shape[1], len(wanted))
                negatives[wanted] = texts[wrong[nearest[np.arange(len(wanted)), chosen]]]
        return negatives
