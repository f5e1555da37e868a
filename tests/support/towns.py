"""Towns whose side (north or south) is known only from a graph or vectors, and models fine-tuned to predict it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kepipe.stages.artifacts import FineTuned
from kepipe.stages.finetune import FINETUNE
from kg.schema import Entity, Relation, Triple
from kg.writer import write_graph
from tests.support.tasks import SETTINGS, sentence
from tests.support.toy_training import EventRecorder, context_in

SYLLABLES = ["ba", "do", "ki", "lu", "me", "no", "ra", "su"]
NAMES = [first + middle + last for first in SYLLABLES for middle in SYLLABLES for last in SYLLABLES]
SEEN, UNSEEN = NAMES[:432], NAMES[432:]  # too many to memorise
SIDE = {
    name: "north" if np.random.default_rng(number).random() < 0.5 else "south"
    for number, name in enumerate(NAMES)
}
OPPOSITE = {name: "south" if side == "north" else "north" for name, side in SIDE.items()}


def write_world(folder: Path, side: Mapping[str, str]) -> Path:
    """Write a graph in which every town lies in the north or in the south."""
    ids = {name: f"Q{name}" for name in [*NAMES, "north", "south"]}
    write_graph(
        folder,
        [Entity(id, name) for name, id in ids.items()],
        [Relation("P1", "lies in the")],
        {"train": [Triple(ids[name], "P1", ids[place]) for name, place in side.items()]},
    )
    return folder


def write_towns(folder: Path) -> dict[str, str]:
    """Write sentences with a town, labelled with its side; test and training have different towns."""
    folder.mkdir(parents=True, exist_ok=True)
    data = {}
    for seed, (split, names, count) in enumerate(
        (("train", SEEN, 400), ("dev", SEEN, 80), ("test", UNSEEN, 160))
    ):
        rng = np.random.default_rng(seed)
        lines = []
        for _ in range(count):
            name = str(rng.choice(names))
            text = " ".join(sentence(rng, "saw", name))
            start = text.index(name)
            lines.append(
                {
                    "text": text,
                    "start": start,
                    "end": start + len(name),
                    "types": [SIDE[name]],
                    "entity": f"Q{name}",
                }
            )
        file = folder / f"{split}.jsonl"
        file.write_text("".join(json.dumps(line) + "\n" for line in lines))
        data[split] = str(file)
    return data


def tune(
    folder: Path, words: str, inputs: dict[str, Any], recorder: EventRecorder | None = None, **changes: Any
) -> FineTuned:
    settings = {
        "task": "typing",
        "data": write_towns(folder / "data"),
        "base": {"layers": 2, "hidden": 32, "heads": 2},
        "tokenizer": words,
        "entity_markers": False,  # the mention itself is pooled, which attends to its branch
    }
    context = context_in(folder, recorder)
    FINETUNE.run(
        FINETUNE.inputs(**inputs), FINETUNE.config.model_validate(SETTINGS | settings | changes), context
    )
    return FineTuned(context.out, "")


def strict_score(model: FineTuned) -> float:
    return float(model.scores()["test"]["strict"].value)
