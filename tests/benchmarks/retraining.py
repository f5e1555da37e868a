"""What a retraining on a little new data costs: `KEPIPE_DATA=… python -m tests.benchmarks.retraining`.

A pipeline runs twice: on 99% of the introductions of CoDEx-S's entities and of its triples (with `--same-graph`: all
triples), then on all of them, going on from the champion, with the champion beside the new model in the evaluation.
Printed are the processor seconds of each stage, and the second run's share of the first's.
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
  champion: {name: retraining, base: {from: minilm}}
  link: {inputs: {start: champion}, language: en, workers: 1}
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
SHARE = 100
"""Every so many-th document and triple is new."""


def main() -> None:
    """Print a line a stage, and the share."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=600, help="Updates of the first training.")
    parser.add_argument("--again", type=int, default=10, help="Updates of the second.")
    parser.add_argument(
        "--same-graph", action="store_true", help="Only texts are new: the linker is kept, and so are the vectors."
    )
    chosen = parser.parse_args()
    data = Path(os.environ["KEPIPE_DATA"])
    with tempfile.TemporaryDirectory(prefix="retraining-") as folder:
        project = Path(folder)
        (project / "retraining.yaml").write_text(PIPELINE)
        write(project, data, everything=False, same_graph=chosen.same_graph)
        first = run(project, chosen.steps)
        write(project, data, everything=True, same_graph=chosen.same_graph)
        second = run(project, chosen.again)
    print(f"{'processor seconds':<20} {'first':>8} {'again':>8}")
    for stage in yaml.safe_load(PIPELINE)["stages"] | {"graph": 0, "corpus": 0}:
        print(f"{stage:<20} {first.get(stage, 0.0):>8.1f} {second.get(stage, 0.0):>8.1f}")
    whole, again = sum(first.values()), sum(second.values())
    print(f"{'together':<20} {whole:>8.1f} {again:>8.1f}   {again / whole:.1%}")


def write(project: Path, data: Path, *, everything: bool, same_graph: bool) -> None:
    """The texts and the graph, without what is new or with it; `same_graph`: the graph always with it."""
    (project / "texts").mkdir(exist_ok=True)
    lines = (
        (data / "corpora" / "codex-s-extracts.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    )
    old = [line for number, line in enumerate(lines) if number % SHARE]
    (project / "texts" / "texts.jsonl").write_text("".join(old), encoding="utf-8")
    if everything:
        new = [line for number, line in enumerate(lines) if not number % SHARE]
        (project / "texts" / "new.jsonl").write_text("".join(new), encoding="utf-8")
    shutil.copytree(data / "kg" / "codex-s", project / "graph", dirs_exist_ok=True)
    if not everything and not same_graph:
        triples = (
            (data / "kg" / "codex-s" / "train.tsv").read_text(encoding="utf-8").splitlines(keepends=True)
        )
        kept = [line for number, line in enumerate(triples) if number % SHARE]
        (project / "graph" / "train.tsv").write_text("".join(kept), encoding="utf-8")


def run(project: Path, steps: int) -> dict[str, float]:
    """Stage → processor seconds of what a run computed."""
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
