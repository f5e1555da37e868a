"""Towns whose side is known only from a graph, and a decoder that completes a text from the facts before it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from kepipe.data.batch import Batch
from kepipe.knowledge.base import Knowledge, PromptSources
from kepipe.knowledge.opening import open_own
from kepipe.knowledge.table import read
from kepipe.models.base import Base, build
from kepipe.models.lm_scorer import LMScorer
from kepipe.tokenization.tokenizer import Tokenizer, load_tokenizer
from kg.schema import Entity, Relation, Triple
from kg.store import Graph, open_graph
from kg.writer import write_graph

TOWNS = ["oslo", "lima", "cairo", "quito", "tunis", "accra"]
SIDE = dict(zip(TOWNS, ["north", "south", "north", "south", "north", "south"], strict=True))
OPPOSITE = {town: "south" if side == "north" else "north" for town, side in SIDE.items()}
WORDS = [*TOWNS, "north", "south", "lies", "in", "we", "saw", "it", "is", "and", "rain", "."]


def write_sides(folder: Path, side: dict[str, str]) -> Graph:
    """Write a graph in which every town is in the north or in the south; its id is its name."""
    write_graph(
        folder,
        [Entity(name, name) for name in [*TOWNS, "north", "south"]],
        [Relation("P1", "lies in")],
        {"train": [Triple(town, "P1", place) for town, place in side.items()]},
    )
    return open_graph(folder)


def words_tokenizer(folder: Path) -> Tokenizer:
    """A tokenizer with a token for every word."""
    (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]))
    return load_tokenizer(folder / "vocab.txt")


def random_model(tokenizer: Tokenizer, family: str = "gpt2", positions: int = 48) -> LMScorer:
    """A model with random weights that are large enough for its outputs to depend on the tokens."""
    base = {"family": family, "layers": 2, "hidden": 32, "heads": 2}
    base |= {"positions": positions} if family == "gpt2" else {}
    model = build(Base.model_validate(base), tokenizer.vocab_size, 0).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(4)
    return LMScorer(model, tokenizer, "append" if family == "gpt2" else "sentinel")


def opened(graph: Graph, model: LMScorer, method: str | dict[str, object]) -> Knowledge:
    """A method opened with a graph, for the prompts of a model."""
    sources = PromptSources(model.tokenizer, model.model.config, graph=graph.folder)
    knowledge = open_own(Path("none"), sources, methods=[read(method)])
    assert knowledge is not None
    return knowledge


def trained_model(tokenizer: Tokenizer) -> LMScorer:
    """A model trained to complete a sentence about a town from the fact before it; sides are random in each step.

    Which initial weights succeed, and when, depends on the CPU's rounding, so several are tried. Raises AssertionError
    if none succeeds.
    """
    for seed in range(20):
        model = build(
            Base(layers=2, hidden=32, heads=2, family="gpt2", positions=48), tokenizer.vocab_size, seed
        )
        scorer = LMScorer(model, tokenizer, "append")
        if _learns(scorer, seed):
            return scorer
    raise AssertionError("no model has learned what a fact says")


def _learns(scorer: LMScorer, seed: int, enough: int = 20, steps: int = 500) -> bool:
    """Train until all sides were right in `enough` steps; whether this was reached within `steps`."""
    rng, optimiser = np.random.default_rng(seed), torch.optim.Adam(scorer.model.parameters(), 3e-3)
    scorer.model.train()
    right = 0
    for _ in range(steps):
        pairs = [(town, str(rng.choice(["north", "south"]))) for town in TOWNS * 4]
        texts = [f" {town} lies in {side}. we saw {town} it is {side}" for town, side in pairs]
        tokens = torch.from_numpy(scorer.tokenizer.encode(texts).tokens.reshape(len(texts), -1))
        batch = Batch(tokens, torch.ones_like(tokens), visibility="causal")
        logits = scorer.model.vocabulary(scorer.model(batch)[:, :-1])
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        right += bool((logits[:, -1].argmax(-1) == tokens[:, -1]).all())
        if right == enough:
            scorer.model.eval()
            return True
    return False
