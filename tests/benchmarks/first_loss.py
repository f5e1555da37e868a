"""The held-out loss of MiniLM before pretraining, by the initialisation of its missing vocabulary head.

    KEPIPE_DATA=/path/to/data python -m tests.benchmarks.first_loss [--scales 0.25 0.35 0.5 0.7 1] [--updates 40]

The loss is that of `mlm` before any update, or after so many of the default recipe. The scale of the head that is tied
to the token embeddings is chosen on news and abstracts; film reviews and the Wikipedia sample in gensim's wheel are for
evaluation only.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

from kepipe.data.document import Document
from kepipe.data.document_files import read_documents, write_documents
from kepipe.flow.events import Metrics
from kepipe.flow.stage import Nothing, StageContext
from kepipe.models import output_bias
from kepipe.models.transformer import Transformer
from kepipe.stages.artifacts import Linked, Shards
from kepipe.stages.corpus import CORPUS
from kepipe.stages.pretrain import PRETRAIN
from kepipe.stages.shards import SHARDS

CHOSEN_ON, EVALUATED_ON = ("abc-news", "biomedical-abstracts"), ("movie-reviews", "wikipedia-sample")
DOCUMENTS, HELD_OUT_TOKENS = 300, 65_536
TIED = output_bias.init_tied_head


def context(folder: Path, sink: Callable[[object], None] = lambda _event: None) -> StageContext:
    """A stage context whose events go to `sink`."""
    for part in ("out", "scratch"):
        (folder / part).mkdir(parents=True)
    return StageContext(folder / "out", folder / "scratch", 0, "cpu", sink)


def documents(text: str, folder: Path) -> Iterator[Document]:
    """The first documents of a text."""
    if text == "wikipedia-sample":
        CORPUS.run(Nothing(), CORPUS.config(), stage_context := context(folder / "corpus"))
        yield from read_documents(stage_context.out / "documents.jsonl")
        return
    for number, line in enumerate((Path(os.environ["KEPIPE_DATA"]) / "corpora" / f"{text}.jsonl").open()):
        if content := json.loads(line)["text"].strip():
            yield Document(f"{text}-{number}", content)


def shards(text: str, folder: Path) -> Path:
    """Shards of the text with MiniLM's tokenizer, every fourth document held out."""
    (folder / "text").mkdir(parents=True)
    sample = [document for _, document in zip(range(DOCUMENTS), documents(text, folder), strict=False)]
    write_documents(folder / "text" / "documents.jsonl", sample)
    (folder / "text" / "corpus.json").write_text(json.dumps({"held_out_share": 0.25}))
    settings = SHARDS.config.model_validate({"tokenizer": {"from": "minilm"}})
    SHARDS.run(
        SHARDS.inputs(Linked(folder / "text", "")), settings, stage_context := context(folder / "shards")
    )
    return stage_context.out


def loss_after(updates: int, text: Path) -> float:
    """The held-out loss that `pretrain` logs at its end: after `updates` updates of 4,096 tokens each in the default
    precision, or that of the initial weights in fp32 for 0."""
    metrics: dict[str, float] = {}

    def record(event: object) -> None:
        if isinstance(event, Metrics):
            metrics.update(event.values)

    config = PRETRAIN.config.model_validate(
        {"base": {"from": "minilm"}, "steps": updates, "batch_tokens": 4096, "eval_tokens": HELD_OUT_TOKENS}
        | {"precision": "auto" if updates else "fp32"}
    )
    with tempfile.TemporaryDirectory() as folder:
        PRETRAIN.run(PRETRAIN.inputs(Shards(text, "")), config, context(Path(folder), record))
    return metrics["final_held_out_loss"]


def leave_unchanged(_model: Transformer, *_: object) -> None:
    """Keep the random weights of a head."""


def heads(scales: list[float]) -> dict[str, dict[str, Any]]:
    """Initialisation → functions that replace those of `output_bias`."""
    tied = {
        f"token table, scale {scale:g}": {"init_tied_head": partial(TIED, scale=scale)} for scale in scales
    }
    return {
        "drawn at random": {"init_tied_head": leave_unchanged, "init_output_bias": leave_unchanged},
        "frequencies after a random transform": {"init_tied_head": leave_unchanged},
        "frequencies alone": {"init_tied_head": partial(TIED, scale=0.0)},
        **tied,
    }


def main() -> None:
    """Print a row for each head, a column for each text."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scales", type=float, nargs="+", default=[0.25, 0.35, 0.5, 0.7, 1.0])
    parser.add_argument("--updates", type=int, default=0)
    args = parser.parse_args()
    texts = (*CHOSEN_ON, *EVALUATED_ON)
    with tempfile.TemporaryDirectory() as folder:
        shard_folders = [shards(text, Path(folder) / text) for text in texts]
        print(f"{'':40}" + "".join(f"{text:>22}" for text in texts), flush=True)
        for name, replacements in heads(args.scales).items():
            with mock.patch.multiple(output_bias, **replacements):
                losses = [loss_after(args.updates, text) for text in shard_folders]
            print(f"{name:40}" + "".join(f"{loss:22.2f}" for loss in losses), flush=True)


if __name__ == "__main__":
    main()
