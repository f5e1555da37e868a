"""One very long document: memory of linking and sharding is linear in its size, with a small factor."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.kepipe_run import EXAMPLE as PIPELINE

EXAMPLE = PIPELINE.parent

MEGABYTE = 2**20
LINE = "Mars {} is near Earth and Jupiter has many moons.\n"
MOST = {"link": 60, "run": 180}
"""Megabytes that one more of text may take."""
CHILD = """
import sys
from pathlib import Path
from kepipe.cli import app

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) // 1024

for line in sys.stdin.read().splitlines():
    app(line.split("|"), standalone_mode=False)
    print("PEAK", peak())
"""


def peaks(place: Path, commands: list[list[str]]) -> list[int]:
    """The most memory, in megabytes, that a process has had after each of the commands, which run in it in turn."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD],
        input="\n".join("|".join(words) for words in commands),
        capture_output=True,
        text=True,
        cwd=place,
        env={**os.environ, "KEPIPE_TRACKING": "off", "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [int(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("PEAK")]


@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="a process's peak of memory stands in /proc"
)
def test_memory_is_linear_in_the_length_of_a_document(tmp_path: Path) -> None:
    """A document is linked and tokenised in sections of a million characters; three of them take little more than one,
    where all at once would take three times as much."""
    sizes = (1, 3)
    for size in sizes:
        (tmp_path / f"{size}" / "texts").mkdir(parents=True)
        lines = size * MEGABYTE // len(LINE)
        (tmp_path / f"{size}" / "texts" / "one.txt").write_text("".join(map(LINE.format, range(lines))))
        (tmp_path / f"{size}" / "pipeline.yaml").write_text(
            f"name: long\ngraph: {{source: native, path: {EXAMPLE}}}\n"
            "corpus: {source: folder, path: texts, held_out: 0}\n"
            "stages:\n  link: {spacy_model: null, workers: 1}\n  shards: {tokenizer: {size: 2000}}\n"
        )
    graph = [["graph", "import", str(EXAMPLE), "--out", "graph"]]
    linked = [
        ["link", "texts", f"{size}/texts", "--linker", "graph", "--rules", "--out", f"{size}.jsonl"]
        for size in sizes
    ]
    ran = [
        ["run", f"{size}/pipeline.yaml", "--until", "shards", "--workspace", f"{size}/w"] for size in sizes
    ]
    _, link_1, link_3, run_1, run_3 = peaks(tmp_path, [*graph, *linked, *ran])
    documents = (tmp_path / "3.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(documents) == 4  # sections, and in the order of the text
    assert link_3 - link_1 < (3 - 1) * MOST["link"]
    assert run_3 - run_1 < (3 - 1) * MOST["run"]
