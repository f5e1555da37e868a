"""Small user data without gold links: an English graph with types, and a Chinese one with triples only."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import numpy as np
import yaml

RIVERS = [first + last for first, last in product(("Al", "Bor", "Cal", "Dun", "Er"), ("ane", "ow", "ith"))]
TOWNS = [
    first + last for first, last in product(("Mar", "Nor", "Ost", "Per", "Quin"), ("ford", "bridge", "stead"))
]
ENGLISH = (
    "The town of {town} lies on the river {river}.",
    "Boats go down the {river} to {town} in the summer.",
    "People of {town} have fished in the {river} for long.",
)
CHINESE_TOWNS = [a + b for a, b in product("青白江临安", ("州市", "河镇", "山县"))]
CHINESE_RIVERS = [a + b for a, b in product("赤黑玉金沙", ("水河", "龙江", "石溪"))]
CHINESE = (
    "{town}位于{river}边，风景很美。",
    "游客沿着{river}来到{town}。",
    "{town}的人们喜欢在{river}里钓鱼。",
)
TINY_BASE = {"family": "bert", "layers": 1, "hidden": 32, "heads": 2}


def write_project(folder: Path, language: str) -> Path:
    """Write the pipeline file of a minimal project with graph and texts."""
    (folder / "texts").mkdir(parents=True)
    towns, rivers, sentences = {
        "en": (TOWNS, RIVERS, ENGLISH),
        "zh": (CHINESE_TOWNS, CHINESE_RIVERS, CHINESE),
    }[language]
    rng = np.random.default_rng(0)
    for number in range(30):
        pairs = [(towns[place], rivers[place]) for place in rng.permutation(len(towns))[:6].tolist()]
        parts = [str(rng.choice(sentences)).format(town=town, river=river) for town, river in pairs]
        text = (" " if language == "en" else "").join(parts)
        (folder / "texts" / f"{number}.txt").write_text(text, encoding="utf-8")
    graph = _english_graph(folder) if language == "en" else _chinese_graph(folder)
    training = {"base": TINY_BASE, "length": 64, "steps": 8, "batch_tokens": 512, "knowledge": "ernie-baidu"}
    pipeline = {
        "name": f"own-{language}",
        "graph": graph,
        "corpus": {"source": "folder", "path": "texts", "held_out": 0.3},
        "stages": {
            "link": {"language": language, "spacy_model": None}
            if language == "en"
            else {"language": language},
            "shards": {"tokenizer": {"size": 500}},
            "pretrain": training,
            "control": {"like": "pretrain", "knowledge": None},
            "evaluate": {"context": 64},
            "report": {},
            "register": {"inputs": {"model": "pretrain"}, "name": f"own-{language}"},
        },
    }
    file = folder / "pipeline.yaml"
    file.write_text(yaml.safe_dump(pipeline, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return file


def _english_graph(folder: Path) -> dict[str, str]:
    entities = [{"id": name.lower(), "label": name, "types": ["town"]} for name in TOWNS]
    entities += [{"id": name.lower(), "label": name, "types": ["river"]} for name in RIVERS]
    (folder / "entities.jsonl").write_text("".join(json.dumps(entity) + "\n" for entity in entities))
    triples = [
        f"{town.lower()}\tlies on\t{river.lower()}\n" for town, river in zip(TOWNS, RIVERS, strict=True)
    ]
    (folder / "triples.tsv").write_text("".join(triples))
    return {"source": "native", "path": "."}


def _chinese_graph(folder: Path) -> dict[str, str]:
    triples = [f"{town}\t位于\t{river}\n" for town, river in zip(CHINESE_TOWNS, CHINESE_RIVERS, strict=True)]
    (folder / "graph.spo").write_text("".join(triples), encoding="utf-8")
    return {"source": "spo", "path": "graph.spo"}
