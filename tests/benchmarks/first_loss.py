"""The loss with which MiniLM begins, by what its missing vocabulary head starts as.

    KEPIPE_DATA=/path/to/data python -m tests.benchmarks.first_loss [--scales 0.25 0.35 0.5 0.7 1]

Held-out loss of `mlm` before any update. The scale of the head that reads the token table is chosen on news and on
abstracts; film reviews and the Wikipedia sample of gensim's wheel are texts that took no part in the choice.
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

CHOSEN_ON, OTHERS = ("abc-news", "biomedical-abstracts"), ("movie-reviews", "wikipedia-sample")
DOCUMENTS, HELD_OUT_TOKENS = 300, 65_536
TIED = output_bias.init_tied_head


def context(folder: Path, tell: Callable[[object], None] = lambda _event: None) -> StageContext:
    """A place to work, where `tell` hears what happens."""
    for part in ("out", "scratch"):
        (folder / part).mkdir(parents=True)
    return StageContext(folder / "out", folder / "scratch", 0, "cpu", tell)


def documents(text: str, folder: Path) -> Iterator[Document]:
    """The first documents of a text."""
    if text == "wikipedia-sample":
        CORPUS.run(Nothing(), CORPUS.config(), place := context(folder / "corpus"))
        yield from read_documents(place.out / "documents.jsonl")
        return
    for number, line in enumerate((Path(os.environ["KEPIPE_DATA"]) / "corpora" / f"{text}.jsonl").open()):
        if written := json.loads(line)["text"].strip():
            yield Document(f"{text}-{number}", written)


def shards(text: str, folder: Path) -> Path:
    """The text in MiniLM's tokens, every fourth document held out."""
    (folder / "text").mkdir(parents=True)
    some = [document for _, document in zip(range(DOCUMENTS), documents(text, folder), strict=False)]
    write_documents(folder / "text" / "documents.jsonl", some)
    (folder / "text" / "corpus.json").write_text(json.dumps({"held_out_share": 0.25}))
    settings = SHARDS.config.model_validate({"tokenizer": {"from": "minilm"}})
    SHARDS.run(SHARDS.inputs(Linked(folder / "text", "")), settings, place := context(folder / "shards"))
    return place.out


def first_loss(text: Path) -> float:
    """The held-out loss that `pretrain` logs where it makes no update."""
    heard: dict[str, float] = {}

    def hear(event: object) -> None:
        if isinstance(event, Metrics):
            heard.update(event.values)

    config = PRETRAIN.config.model_validate(
        {"base": {"from": "minilm"}, "steps": 0, "eval_tokens": HELD_OUT_TOKENS, "precision": "fp32"}
    )
    with tempfile.TemporaryDirectory() as folder:
        PRETRAIN.run(PRETRAIN.inputs(Shards(text, "")), config, context(Path(folder), hear))
    return heard["final_held_out_loss"]


def leave(_model: Transformer, *_: object) -> None:
    """Let a head be as it was drawn."""


def heads(scales: list[float]) -> dict[str, dict[str, Any]]:
    """What a head starts as → what stands in for parts of `output_bias`."""
    tied = {
        f"token table, scale {scale:g}": {"init_tied_head": partial(TIED, scale=scale)} for scale in scales
    }
    return {
        "drawn at random": {"init_tied_head": leave, "init_output_bias": leave},
        "frequencies after a random transform": {"init_tied_head": leave},
        "frequencies alone": {"init_tied_head": partial(TIED, scale=0.0)},
        **tied,
    }


def main() -> None:
    """Print a row for each head, a column for each text."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scales", type=float, nargs="+", default=[0.25, 0.35, 0.5, 0.7, 1.0])
    options = parser.parse_args()
    texts = (*CHOSEN_ON, *OTHERS)
    with tempfile.TemporaryDirectory() as folder:
        made = [shards(text, Path(folder) / text) for text in texts]
        print(f"{'':40}" + "".join(f"{text:>22}" for text in texts), flush=True)
        for name, replaced in heads(options.scales).items():
            with mock.patch.multiple(output_bias, **replaced):
                losses = [first_loss(text) for text in made]
            print(f"{name:40}" + "".join(f"{loss:22.2f}" for loss in losses), flush=True)


if __name__ == "__main__":
    main()
