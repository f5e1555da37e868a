"""Every row of the table of sources is documented, tested and read; the schema is built from the table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kepipe.data.document import Document
from kepipe.data.sources.table import SOURCES, Reading
from kepipe.stages.corpus import CorpusConfig
from kg.problems import Problems

ROOT = Path(__file__).parents[4]


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_is_documented_tested_and_in_a_pipeline(name: str) -> None:
    row = SOURCES[name]
    page = (ROOT / "docs/your-own-data.md").read_text(encoding="utf-8")
    assert f"| `{name}` | {row.about} |" in page
    files = [*ROOT.glob("pipelines/*.yaml"), *ROOT.glob("docs/**/*.yaml")]
    files += ROOT.glob("docs/formats.md") if row.package else ()
    assert any(f"source: {name}" in file.read_text(encoding="utf-8") for file in files)
    assert set(row.options) <= CorpusConfig.model_fields.keys()


def test_the_schema_lists_all_sources() -> None:
    field = CorpusConfig.model_json_schema()["properties"]["source"]
    assert field["enum"] == list(SOURCES)
    for name, row in SOURCES.items():
        assert f"`{name}`: {row.about}" in field["description"]


@pytest.mark.parametrize("name", [name for name, row in SOURCES.items() if not row.package])
def test_a_source_is_read_and_counted(name: str, tmp_path: Path) -> None:
    row = SOURCES[name]
    for letter in "abc":
        (tmp_path / f"{letter}.txt").write_text("Some text.", encoding="utf-8")
    paths = (tmp_path,) if row.path else ()
    ticks: list[int] = []

    @contextmanager
    def progress(what: str, total: int | None, unit: str, /) -> Iterator[Callable[[int], None]]:
        assert what
        assert unit == "documents"
        yield ticks.append

    def read_task(paths: Iterable[Path], _problems: Problems) -> Iterator[Document]:
        return (Document(file.stem, file.read_text()) for path in paths for file in path.iterdir())

    reading = Reading(paths, 3, Problems(), progress, lambda _: None, read_task=read_task)
    documents = list(row.read(reading))
    assert len({document.id for document in documents}) == 3
    assert all(document.text for document in documents)
    assert sum(ticks) >= 3
    assert row.digests(paths)
    assert row.digests(paths) == row.digests(paths)
