"""Stage `replay`: the text that is new since a model was trained, mixed with a share of the old to avoid forgetting.

Mixing a little of the old text into continued training keeps most of what was learned (Ibrahim et al. 2024, Simple and
Scalable Strategies to Continually Pre-train Large Language Models, §4.2: 5% suffice for similar text).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import Field

from kepipe.config import Section
from kepipe.flow.stage import Stage, StageContext
from kepipe.linking import LINKER
from kepipe.stages.artifacts import Linked, Model
from kepipe.stages.made_of import made_of


@dataclass(frozen=True)
class ReplayInputs:
    """The whole linked text, and the model to continue from."""

    linked: Linked
    start: Model


class ReplayConfig(Section):
    """Amount of old text."""

    share: float = Field(0.3, ge=0, lt=1)
    """Share of old documents among the training documents, chosen at random. All held-out documents are kept."""


def replay(inputs: ReplayInputs, config: ReplayConfig, context: StageContext) -> None:
    """Write `documents.jsonl` and the other files of a linked text. All text is new if the model's training text is
    unknown.

    Held-out documents come first: they are mostly those of the last run, and stay together in batches that are
    tokenised once.
    """
    from kepipe.data.document_files import held_out
    from kepipe.data.text_changes import text_changes

    before = _text_of(inputs)
    old = {} if before is None else {id: text for id, text, _ in _documents(before)}
    share = inputs.linked.held_out_share()
    now = list(_documents(inputs.linked.folder))
    changes = text_changes(old, [(id, text) for id, text, _ in now])
    kept, new = [held_out(id, share) for id, _, _ in now], set(changes.new)
    training_new = [number for number in changes.new if not kept[number]]
    repeated = [number for number in range(len(now)) if number not in new and not kept[number]]
    replayed = repeated
    if training_new:
        count = min(len(repeated), round(len(training_new) * config.share / (1 - config.share)))
        replayed = np.random.default_rng(context.seed).permutation(repeated)[:count].tolist()
    chosen = {*replayed, *training_new}
    with (context.out / "documents.jsonl").open("wb") as stream:
        stream.writelines(line for number, (_, _, line) in enumerate(now) if kept[number])
        stream.writelines(line for number, (_, _, line) in enumerate(now) if number in chosen)
    for file in ("corpus.json", "scores.json"):
        shutil.copyfile(inputs.linked.folder / file, context.out / file)
    shutil.copytree(inputs.linked.folder / LINKER, context.out / LINKER)
    counts = {
        "new": len(new),
        "changed": len(changes.changed),
        "gone": len(changes.gone),
        "replayed": len(replayed),
        "trained_on": len(chosen),
    }
    context.log(counts)
    context.note(
        f"{counts['new']:,} documents are new, {counts['changed']:,} of them changed, {counts['gone']:,} were removed; "
        f"{counts['replayed']:,} of {len(repeated):,} old ones are replayed"
    )


def _text_of(inputs: ReplayInputs) -> Path | None:
    """The linked text on which the model was trained; None if unknown."""
    found = made_of(inputs.start, "shards", "link")
    return None if found is None else found.folder


def _documents(folder: Path) -> Iterator[tuple[str, str, bytes]]:
    """Id, text and line of each document."""
    with (folder / "documents.jsonl").open("rb") as lines:
        for line in lines:
            record = json.loads(line)
            yield str(record["id"]), str(record["text"]), line


REPLAY = Stage("replay", 2, ReplayInputs, ReplayConfig, Linked, replay)
