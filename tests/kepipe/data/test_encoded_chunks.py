"""Chunks that an earlier run has tokenised: only new ones are tokenised, and the shards have the same bytes."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from kepipe.data import encoding
from kepipe.data.document_columns import DocumentColumns
from kepipe.data.stored_arrays import read_arrays, store_arrays
from kepipe.flow.events import Event, Metrics
from kepipe.flow.stage import StageContext
from kepipe.stages.artifacts import Linked
from kepipe.stages.shards import SHARDS, ShardsConfig, ShardsInputs, shards
from kepipe.tokenization.tokenizer import load_tokenizer
from tests.support.stages import run_stage
from tests.support.tasks import tokenizer


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kepipe.data.parsed_chunks.CHUNK", 2000)


@pytest.fixture
def tokenised(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of the documents that are tokenised from now on."""
    ids: list[str] = []
    real = encoding.tokenise_columns

    def listen(documents: DocumentColumns, *given: object) -> object:
        ids.extend(documents.ids)
        return real(documents, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(encoding, "tokenise_columns", listen)
    return ids


LINES = [
    f'{{"id":"d{number}","text":"The moon {number} of Jupiter is bigger than {number * 7}.","title":"Moon {number}",'
    f'"sentences":[[0,20]],"mentions":[{{"start":4,"end":8,"entity":"E{number % 9}"}}]}}\n'
    for number in range(150)
]


class Project:
    """Runs the stage on changing text, with a cache or without."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.runs = folder, 0
        tokenizer().save(folder / "tokenizer")

    def run(
        self,
        lines: list[str],
        *,
        memo: bool = True,
        share: float = 0.2,
        workers: int = 1,
        source: str = "tokenizer",
    ) -> dict[str, bytes]:
        """The content of what the stage makes."""
        self.runs += 1
        folder = self.folder / f"run-{self.runs}"
        (folder / "linked").mkdir(parents=True)
        (folder / "linked" / "documents.jsonl").write_text("".join(lines))
        (folder / "linked" / "corpus.json").write_text(f'{{"held_out_share": {share}}}')
        kept = self.folder / "memo" if memo else None

        def with_memo(inputs: ShardsInputs, config: ShardsConfig, context: StageContext) -> None:
            shards(inputs, config, replace(context, memo=kept))

        source = source if source == "minilm" else str(self.folder / source)
        config = ShardsConfig.model_validate({"tokenizer": {"from": source}, "workers": workers})
        stage = replace(SHARDS, run=with_memo)
        self.events: list[Event] = run_stage(
            stage, ShardsInputs(Linked(folder / "linked", "")), config, folder
        )
        out = folder / "out"
        return {str(file.relative_to(out)): file.read_bytes() for file in out.rglob("*") if file.is_file()}

    @property
    def kept(self) -> float:
        """Documents of the last run that had been tokenised before."""
        (metrics,) = (event.values for event in self.events if isinstance(event, Metrics))
        return metrics["kept_documents"]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_only_changed_batches_are_tokenised(project: Project, tokenised: list[str]) -> None:
    first = project.run(LINES)
    assert (len(tokenised), project.kept) == (150, 0)
    assert project.run(LINES, memo=False) == first
    tokenised.clear()
    assert (project.run(LINES), tokenised, project.kept) == (first, [], 150)
    grown = [*LINES[:70], *LINES[71:], LINES[3].replace("d3", "new")]
    grown[20] = grown[20].replace("bigger", "smaller")
    anew = project.run(grown, memo=False)
    tokenised.clear()
    assert project.run(grown) == anew
    assert {"d20", "new"} < {*tokenised} < {*(f"d{number}" for number in range(150)), "new"}
    assert len(tokenised) == 150 - project.kept < 75
    more = [*grown, LINES[5].replace("d5", "one more")]
    assert project.run(more, workers=2) == project.run(more, memo=False)


def test_another_tokenizer_or_share_tokenises_everything(project: Project, tokenised: list[str]) -> None:
    project.run(LINES)
    for changed in ({"share": 0.4}, {"source": "minilm"}):
        tokenised.clear()
        assert project.run(LINES, **changed) == project.run(LINES, memo=False, **changed)  # type: ignore[arg-type]
        assert len(tokenised) == 300
    assert load_tokenizer(project.folder / "tokenizer").vocab_size != load_tokenizer("minilm").vocab_size


def test_damaged_and_missing_batches_are_tokenised_again(project: Project, tokenised: list[str]) -> None:
    first = project.run(LINES)
    damaged, gone, *_ = sorted(project.folder.rglob("*.tokens"))
    damaged.write_bytes(damaged.read_bytes()[:-40])
    gone.unlink()
    tokenised.clear()
    assert project.run(LINES) == first
    assert 2 <= len(tokenised) < 100
    tokenised.clear()
    assert (project.run(LINES), tokenised) == (first, [])


def test_a_kill_while_a_batch_is_stored_leaves_no_batch(
    project: Project, tokenised: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_and_die() -> None:
        written = 0
        write = Path.write_bytes

        def die(file: Path, content: bytes) -> int:
            nonlocal written
            written += 1
            if written == 3:
                write(file, content[: len(content) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            return write(file, content)

        monkeypatch.setattr(Path, "write_bytes", die)
        project.run(LINES)

    killed = get_context("fork").Process(target=run_and_die)
    killed.start()
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    assert len(list(project.folder.rglob("*.tokens"))) == 2
    assert len(list(project.folder.rglob("*.unfinished"))) == 1
    project.runs += 1  # of the process that was killed
    again = project.run(LINES)
    assert 0 < project.kept == 150 - len(tokenised)
    assert project.run(LINES, memo=False) == again


def changed_bits(content: bytes) -> Iterator[bytes]:
    rng = random.Random(0)
    for place in (*range(300), *rng.sample(range(len(content)), 300)):
        changed = bytearray(content)
        changed[place] ^= 1 << rng.randrange(8)
        yield bytes(changed)


def test_any_changed_bit_of_stored_arrays_is_found(tmp_path: Path) -> None:
    file = tmp_path / "folder" / "arrays"
    arrays = {"numbers": np.arange(50, dtype=np.uint16), "none": np.zeros((0, 2), np.int64)}
    store_arrays(file, arrays)
    whole = file.read_bytes()
    found = read_arrays(file)
    assert found is not None
    assert found.keys() == arrays.keys()
    assert all(np.array_equal(found[name], arrays[name]) for name in arrays)
    for content in (b"", whole[:7], whole[:-1], whole + b"a", *changed_bits(whole)):
        file.write_bytes(content)
        assert read_arrays(file) is None
    assert read_arrays(tmp_path / "none") is None
