"""Time of a retraining on a little new data: `KEPIPE_DATA=… python -m tests.benchmarks.retraining`.

A pipeline runs twice: on 99% of the introductions of CoDEx-S's entities and of its triples, then on all of them,
starting from the champion, which is evaluated together with the new model. Printed are the processor seconds of each
stage in both runs, and the ratio of their sums.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

PIPELINE = """
name: retraining
graph: {source: native, path: graph}
corpus: {source: folder, path: texts, held_out: 0.1}
stages:
  link: {language: en, workers: 1}
  champion: {name: retraining, base: {from: minilm}}
  replay: {inputs: {start: champion}, share: 0.3}
  shards: {inputs: {linked: replay}, tokenizer: {from: minilm}}
  embed: {inputs: {start: champion}, dim: 64, epochs_again: 2}
  pretrain:
    inputs: {start: champion}
    knowledge: ernie-tsinghua
    warmup: 0.1
    batch_tokens: 2048
    eval_tokens: 8192
  evaluate: {inputs: {arms: [pretrain, champion], linked: link}, probes: [mlm-loss], loss_tokens: 20000}
  retraining-report: {inputs: {start: champion, model: pretrain, linked: link}}
  register:
    name: retraining
    inputs: {model: pretrain}
    gate: {metric: mlm_loss/tokens}
"""
NEW_EVERY = 100
"""Every document and triple whose number is a multiple of this is new."""


def main() -> None:
    """Print a line for each stage, and the ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=600, help="Updates of the first training.")
    parser.add_argument("--again", type=int, default=10, help="Updates of the second.")
    args = parser.parse_args()
    data = Path(os.environ["KEPIPE_DATA"])
    with tempfile.TemporaryDirectory(prefix="retraining-") as folder:
        project = Path(folder)
        (project / "retraining.yaml").write_text(PIPELINE)
        write_inputs(project, data, with_new=False)
        first = run_pipeline(project, args.steps)
        write_inputs(project, data, with_new=True)
        second = run_pipeline(project, args.again)
    print(f"{'processor seconds':<20} {'first':>8} {'again':>8}")
    for stage in yaml.safe_load(PIPELINE)["stages"] | {"graph": 0, "corpus": 0}:
        print(f"{stage:<20} {first.get(stage, 0.0):>8.1f} {second.get(stage, 0.0):>8.1f}")
    first_total, second_total = sum(first.values()), sum(second.values())
    print(f"{'together':<20} {first_total:>8.1f} {second_total:>8.1f}   {second_total / first_total:.1%}")


def write_inputs(project: Path, data: Path, *, with_new: bool) -> None:
    """Write the texts and the graph, with the new ones or without."""
    (project / "texts").mkdir(exist_ok=True)
    lines = (
        (data / "corpora" / "codex-s-extracts.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    )
    old = [line for number, line in enumerate(lines) if number % NEW_EVERY]
    (project / "texts" / "texts.jsonl").write_text("".join(old), encoding="utf-8")
    if with_new:
        new = [line for number, line in enumerate(lines) if not number % NEW_EVERY]
        (project / "texts" / "new.jsonl").write_text("".join(new), encoding="utf-8")
    shutil.copytree(data / "kg" / "codex-s", project / "graph", dirs_exist_ok=True)
    if not with_new:
        triples = (
            (data / "kg" / "codex-s" / "train.tsv").read_text(encoding="utf-8").splitlines(keepends=True)
        )
        old_triples = [line for number, line in enumerate(triples) if number % NEW_EVERY]
        (project / "graph" / "train.tsv").write_text("".join(old_triples), encoding="utf-8")


def run_pipeline(project: Path, steps: int) -> dict[str, float]:
    """Run the pipeline; returns stage → processor seconds, without cached stages."""
    kepipe = [sys.executable, "-m", "kepipe"]
    flags = ["--set", f"stages.pretrain.steps={steps}", "--workspace", "workspace"]
    subprocess.run([*kepipe, "run", "retraining.yaml", *flags], cwd=project, check=True)
    subprocess.run([*kepipe, "track", "sync", "--workspace", "workspace"], cwd=project, check=True)
    records = [
        json.loads((folder / "record" / "run.json").read_text())
        for folder in (project / "workspace" / "retraining").iterdir()
    ]
    newest = max(records, key=lambda record: record["started"])["run"]
    return {record["stage"]: record["processor_seconds"] for record in records if record["run"] == newest}


if __name__ == "__main__":
    main()
