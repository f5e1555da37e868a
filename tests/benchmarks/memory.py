"""Perplexity of Transformer-XL with and without memory on long documents (Dai et al. 2019, §4.1 and §4.3).

    python -m tests.benchmarks.memory [--steps 1000] [--seed 0]

Two models of one size are trained on the same articles of the Wikipedia sample in gensim's wheel, in rows of 32 tokens:
one with a memory of the previous rows, one without. Printed is the perplexity of both on the same tokens of held-out
articles, with memories of several lengths, and the difference, in nats per token, to the model that is trained and
evaluated without memory, with a 95% interval by bootstrap over articles.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from kepipe.arrays import Floats, Ints
from kepipe.data.row_batches import open_batches
from kepipe.data.shards import open_shard
from kepipe.data.stream_batches import StreamBatches, as_streams
from kepipe.flow.stage import Nothing, StageContext
from kepipe.models.networks import families
from kepipe.models.networks.xlnet import XLNet
from kepipe.objectives.batches import CorruptedBatches
from kepipe.objectives.causal import CausalLM, build_causal
from kepipe.stages.artifacts import Corpus, Shards
from kepipe.stages.corpus import CORPUS
from kepipe.stages.pretrain import PRETRAIN
from kepipe.stages.shards import SHARDS
from kepipe.studies.intervals import clustered_ratio
from kepipe.tokenization.tokenizer import load_tokenizer
from kepipe.training.carried_states import CarriedStates

LENGTH, STREAMS = 32, 32
MEMORIES = (0, 96, 256)
TRAINED_WITH = 96


class Measured(NamedTuple):
    """Nats and tokens of each held-out article with at least twice as many tokens as the longest memory, [A]."""

    nats: Floats
    tokens: Ints

    @property
    def perplexity(self) -> float:
        """Per token, of all articles together."""
        return float(np.exp(self.nats.sum() / self.tokens.sum()))


def context(folder: Path, seed: int = 0) -> StageContext:
    """A stage context that ignores events."""
    for name in ("out", "scratch"):
        (folder / name).mkdir(parents=True)
    return StageContext(folder / "out", folder / "scratch", seed, "cpu", lambda _event: None)


def write_shards(folder: Path) -> Path:
    """Shards of the Wikipedia sample, with a BPE vocabulary of 4,096 and a tenth of the articles held out."""
    settings = CORPUS.config.model_validate({"source": "wikipedia-sample", "held_out": 0.1})
    CORPUS.run(Nothing(), settings, stage_context := context(folder / "corpus"))
    settings = SHARDS.config.model_validate({"tokenizer": {"kind": "bpe", "size": 4096}})
    SHARDS.run(
        SHARDS.inputs(Corpus(stage_context.out, "")), settings, stage_context := context(folder / "shards")
    )
    return stage_context.out


def train(shards: Path, memory: int, options: argparse.Namespace) -> XLNet:
    """A model with a memory of `memory` tokens."""
    settings = {
        "base": {"family": "transformer-xl", "layers": 2, "hidden": 128, "heads": 2, "memory": memory},
        "objective": "causal-lm",
        "format": "doc-packed",
        "length": LENGTH,
        "batch_tokens": STREAMS * LENGTH,
        "streams": memory > 0,
        "steps": options.steps,
        "optimizer": "muon",
        "learning_rate": 3e-3,
        "eval_tokens": LENGTH * STREAMS,
        "eval_every": options.steps,
        "checkpoint_every": options.steps,
    }
    with tempfile.TemporaryDirectory() as folder:
        stage_context = context(Path(folder), options.seed)
        PRETRAIN.run(
            PRETRAIN.inputs(Shards(shards, "")), PRETRAIN.config.model_validate(settings), stage_context
        )
        model = families.load(stage_context.out)
    assert isinstance(model, XLNet)
    return model


def held_out(shards: Path) -> StreamBatches:
    """The held-out articles, in streams."""
    rows = open_batches(
        open_shard(shards / "held_out"),
        load_tokenizer(shards / "tokenizer"),
        format="doc-packed",
        length=LENGTH,
        tokens=STREAMS * LENGTH,
        begin=False,
    )
    return as_streams(rows, parts=1)


@torch.inference_mode()
def measure(model: XLNet, rows: StreamBatches, memory: int) -> Measured:
    """The losses of a model on the held-out text with a memory of `memory` tokens."""
    model.config = replace(model.config, memory=memory)
    objective = build_causal(CausalLM(), load_tokenizer(rows.shard.folder.parent / "tokenizer"))
    batches, carried = CorruptedBatches(rows.__getitem__, objective, 0), CarriedStates()
    articles = len(rows.shard.documents) - 1
    nats_A, tokens_A = np.zeros(articles), np.zeros(articles, np.int64)
    for number in range(rows.per_epoch):
        batch = batches(number, 1.0)
        if memory:
            batch = carried.attach(batch)
        assert batch.label_positions is not None
        assert batch.labels is not None
        logits_NV = model.vocabulary(model(batch, batch.label_positions))
        losses_N = (
            torch.nn.functional.cross_entropy(logits_NV, batch.labels, reduction="none").double().numpy()
        )
        first_B = rows.examples.first[rows.sampler.rows(number).examples]
        article_B = np.searchsorted(rows.shard.documents, rows.examples.starts[first_B], side="right") - 1
        article_N = article_B[batch.label_positions.numpy() // batch.tokens.shape[1]]
        np.add.at(nats_A, article_N, losses_N)
        np.add.at(tokens_A, article_N, 1)
    long_A = tokens_A >= 2 * max(MEMORIES)
    return Measured(nats_A[long_A], tokens_A[long_A])


def main() -> None:
    """Print a row for each model and length of the memory."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    start = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        shards = write_shards(Path(folder))
        rows = held_out(shards)
        models = {memory: train(shards, memory, args) for memory in (0, TRAINED_WITH)}
        without_memory = measure(models[0], rows, 0)
        print(
            f"{len(without_memory.tokens)} held-out articles, {without_memory.tokens.sum():,} tokens, rows of {LENGTH}"
        )
        print(
            f"{'trained with a memory of':>24} {'evaluated':>11} {'perplexity':>11}  fewer nats per token (95%)"
        )
        for trained, model in models.items():
            for memory in MEMORIES if trained else (0, TRAINED_WITH):
                measured = measure(model, rows, memory)
                difference = clustered_ratio(
                    without_memory.nats - measured.nats,
                    measured.tokens,
                    np.arange(len(measured.tokens)),
                    np.random.default_rng(args.seed),
                )
                interval = f"{difference.value:6.3f} ({difference.low:.3f} to {difference.high:.3f})"
                print(f"{trained:>24} {memory:>11} {measured.perplexity:>11.1f}  {interval}", flush=True)
    print(f"{time.process_time() - start:.0f} seconds of processor time")


if __name__ == "__main__":
    main()
