"""One option for the workers of all stages over a corpus."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kepipe.cli import app
from kepipe.config import ConfigError, cache_key_fields
from kepipe.pipeline import KINDS, load
from kepipe.pipeline.workers import has_workers, with_workers
from tests.support.kepipe_run import EXAMPLE


def test_stages_over_a_corpus_have_these_workers_and_the_same_keys() -> None:
    assert {name for name, stage in KINDS.items() if has_workers(stage.config)} == {"link", "shards"}
    flow, _ = load(EXAMPLE)
    for text, where in (("dask", "dask"), ("-1", -1), ("3", 3)):
        changed = with_workers(flow, text)
        for node, now in zip(flow.nodes, changed.nodes, strict=True):
            assert cache_key_fields(now.config) == cache_key_fields(node.config)
            if node.stage.name in ("link", "shards"):
                assert now.config.workers == where
            else:
                assert now == node


@pytest.mark.parametrize("text", ["0", "ray", "1.5", "dask://stranger:8786"])
def test_other_words_are_refused(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flow, _ = load(EXAMPLE)
    with pytest.raises(ConfigError, match=f"--workers {text}: expected a number of processes, or `dask`"):
        with_workers(replace(flow, nodes=[]), text)
    monkeypatch.setenv("KEPIPE_TRACKING", "off")
    ended = CliRunner().invoke(
        app, ["run", str(EXAMPLE), "--workers", text, "--workspace", str(tmp_path / "w")]
    )
    assert isinstance(ended.exception, ConfigError)
    assert not (tmp_path / "w").exists()
