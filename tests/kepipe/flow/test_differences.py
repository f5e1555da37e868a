"""Differences between two results: their settings, metrics and inputs, back to the first stage."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from kepipe.flow.artifact import seal
from kepipe.flow.differences import Difference, differences, differences_of_stages
from kepipe.flow.lineage import StageResult
from kepipe.flow.plan import Workspace
from tests.support.flow import Bench, flow


def test_changed_setting_is_found_through_dependent_stages_and_listed_once(bench: Bench) -> None:
    first, _ = bench.run(flow(value=5))
    second, _ = bench.run(flow(value=7))
    one, other = (StageResult.open(made["add"].folder) for made in (first, second))
    found = list(differences(one, other, bench.workspace))
    assert Difference("settings", "write.value", 5, 7) in found
    assert [difference.where for difference in found if difference.kind == "settings"] == ["write.value"]
    assert list(differences(one, one, bench.workspace)) == []


def test_logged_metrics_of_two_results_are_compared(bench: Bench) -> None:
    first, _ = bench.run(flow(value=5))
    second, _ = bench.run(flow(value=7))
    found = differences(
        *(StageResult.open(made["write"].folder) for made in (first, second)), bench.workspace
    )
    assert Difference("figures", "write.value", 5.0, 7.0) in list(found)


def test_removed_input_is_shown_by_a_prefix_of_its_digest(bench: Bench) -> None:
    first, _ = bench.run(flow(value=5))
    second, _ = bench.run(flow(value=7))
    shutil.rmtree(first["write"].folder)
    one, other = (StageResult.open(made["double"].folder) for made in (first, second))
    (found,) = (each for each in differences(one, other, bench.workspace) if each.kind == "input")
    assert found == Difference(
        "input", "double.number", first["write"].digest[:12], second["write"].digest[:12]
    )


NAN = float("nan")


def made(folder: Path, tags: dict[str, str], metrics: list[dict[str, Any]], **changed: Any) -> StageResult:
    """A result of a stage `train`, with some parts of its key changed."""
    (folder / "record").mkdir(parents=True)
    (folder / "record" / "run.json").write_text(json.dumps({"stage": "train", "tags": tags}))
    (folder / "record" / "metrics.jsonl").write_text("".join(json.dumps(one) + "\n" for one in metrics))
    (folder / "content").write_text(folder.name)
    key = {"stage": "pretrain", "version": 1, "seed": 0, "config": {}, "inputs": {}, "sources": {}}
    seal(folder, key | changed, "run")
    return StageResult.open(folder)


def test_differences_of_every_kind_are_found_once(tmp_path: Path) -> None:
    """Not a number equals itself, tags that do not describe the code are left out, and so are values of steps."""
    done = tmp_path / "store" / "done"
    first = made(
        done / "a",
        {"git.commit": "c1", "torch.version": "1", "host": "h1"},
        [{"step": 1, "loss": 1.0}, {"step": None, "seconds": 1.0, "mrr": NAN, "hits": 0.5}],
        config={"rate": {"peak": 1, "dropped": 2}, "nan": NAN},
        sources={"corpus": "d1", "graph": "d"},
    )
    second = made(
        done / "b",
        {"git.commit": "c2", "torch.version": "2", "host": "h2"},
        [{"step": 1, "loss": 2.0}, {"step": None, "seconds": 2.0, "mrr": NAN, "hits": 0.25, "f1": 1.0}],
        config={"rate": {"peak": 3}, "new": 4, "nan": NAN},
        sources={"corpus": "d2", "graph": "d"},
        stage="finetune", version=2, seed=5,
    )  # fmt: skip
    assert list(differences(first, second, Workspace(tmp_path))) == [
        Difference("settings", "train.use", "pretrain", "finetune"),
        Difference("settings", "train.new", None, 4),
        Difference("settings", "train.rate.dropped", 2, None),
        Difference("settings", "train.rate.peak", 1, 3),
        Difference("seed", "train", 0, 5),
        Difference("code", "train, version of the stage", 1, 2),
        Difference("code", "train.git.commit", "c1", "c2"),
        Difference("code", "train.torch.version", "1", "2"),
        Difference("files", "train.corpus", "d1", "d2"),
        Difference("figures", "train.f1", None, 1.0),
        Difference("figures", "train.hits", 0.5, 0.25),
    ]


@pytest.mark.parametrize("gone", ["a", "b"])
def test_input_of_one_result_or_in_the_store_for_one_is_reported_by_digest(tmp_path: Path, gone: str) -> None:
    done = tmp_path / "store" / "done"
    inputs = {name: made(done / name, {}, []).digest for name in "ab"}
    first, second = (
        made(done / f"of-{name}", {}, [], inputs={"corpus": inputs[name], **more})
        for name, more in (("a", {"graph": "0123456789abcdef"}), ("b", {}))
    )
    shutil.rmtree(done / gone)
    assert list(differences(first, second, Workspace(tmp_path))) == [
        Difference("input", "train.corpus", inputs["a"][:12], inputs["b"][:12]),
        Difference("input", "train.graph", "0123456789ab", None),
    ]


def test_removed_input_that_both_share_is_no_difference(tmp_path: Path) -> None:
    done = tmp_path / "store" / "done"
    first, second = (made(done / name, {}, [], inputs={"corpus": "0123456789abcdef"}) for name in "ab")
    assert list(differences(first, second, Workspace(tmp_path))) == []


def test_stages_of_two_runs_are_compared_one_by_one(tmp_path: Path) -> None:
    """Inputs that are stages themselves are not repeated; others are shown, and stages that one run lacks."""
    link = made(tmp_path / "link", {}, []), made(tmp_path / "link2", {}, [])
    before, after = (
        made(
            tmp_path / f"train{number}",
            {"git.commit": str(number)},
            [{"step": None, "loss": 2.0 - number}],
            inputs={"linked": link[number].digest, "vectors": f"{number}" * 64},
        )
        for number in (0, 1)
    )
    first = {"link": link[0], "train": before, "report": "a" * 64, "gone": "b" * 64}
    second = {"link": link[1], "train": after, "gone": "b" * 64}
    assert list(differences_of_stages(first, second)) == [
        ("train", Difference("code", "train.git.commit", "0", "1")),
        ("train", Difference("input", "train.vectors", "0" * 12, "1" * 12)),
        ("train", Difference("figures", "train.loss", 2.0, 1.0)),
        ("report", Difference("stage", "report", "a" * 12, None)),
    ]
    assert list(differences_of_stages(first, first)) == []
