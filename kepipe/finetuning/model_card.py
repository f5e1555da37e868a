"""The model card of an exported model: task, scores, training."""

from __future__ import annotations

import json
from pathlib import Path

from kepipe.finetuning.fine_tuned import TaskSpec, read_spec
from kepipe.models.folder import PROVENANCE
from kepipe.studies.scores import FILE, MODEL, read_scores
from kg.regular_files import read_json


def write_card(folder: Path, source: Path, pipeline: str) -> None:
    """Write `README.md` in the format of the Hugging Face hub. `pipeline`: the name of the Hugging Face pipeline."""
    spec = read_spec(source)
    front = {"library_name": "transformers", "pipeline_tag": pipeline, "tags": ["kepipe", spec.task]}
    lines = ["---", *(f"{name}: {json.dumps(value)}" for name, value in front.items()), "---", ""]
    lines += [*_about(spec, pipeline), *_scores(source), *_training(source)]
    (folder / "README.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _about(spec: TaskSpec, pipeline: str) -> list[str]:
    return [
        f"# {spec.task}",
        "",
        f"Answers {spec.row.about}. Fine-tuned by kepipe; rows have at most {spec.length} tokens.",
        "",
        "```python",
        "from transformers import pipeline",
        "",
        f'answer = pipeline("{pipeline}", model="this/folder")',
        "```",
        "",
        f"Labels: {', '.join(json.dumps(label, ensure_ascii=False) for label in spec.labels)}.",
        "",
    ]


def _scores(source: Path) -> list[str]:
    file = source / FILE
    if not file.is_file():
        return []
    lines = ["## Scores", "", "| split | metric | value | 95% interval | cases |", "|---|---|---|---|---|"]
    for split, metrics in read_scores(file).arms[MODEL].items():
        for name, score in metrics.items():
            interval = "" if score.low is None else f"{score.low:.3f} to {score.high:.3f}"
            lines.append(f"| {split} | {name} | {score.value:.3f} | {interval} | {score.cases:,} |")
    return [*lines, ""]


def _training(source: Path) -> list[str]:
    file = source / PROVENANCE
    if not file.is_file():
        return []
    values = json.dumps(read_json(file), indent=1, ensure_ascii=False)
    return ["## Training", "", "```json", values, "```"]
