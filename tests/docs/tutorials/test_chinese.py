"""The tutorial in Chinese, followed with a part of HowNet and a few reviews."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.own_data import TINY_BASE
from tests.support.tutorials import PAGES, Tutorial

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif("KEPIPE_DATA" not in os.environ, reason="KEPIPE_DATA is not set"),
]
SMALLER = (
    f"stages.pretrain.base={{{', '.join(f'{key}: {value}' for key, value in TINY_BASE.items())}}}",
    "stages.pretrain.steps=2",
    "stages.pretrain.batch_tokens=512",
    "stages.shards.tokenizer.size=1500",
    "stages.opinion.epochs=1",
    "stages.opinion.data.max_train=24",
    "stages.opinion.data.max_dev=16",
    "stages.opinion.data.max_test=16",
    "study.seeds=1",
)


def lay_out(folder: Path) -> None:
    """The files of the page: the graph's lines of words that the reviews have, and some reviews."""
    data = Path(os.environ["KEPIPE_DATA"])
    folder.mkdir()
    text = (PAGES / "chinese.md").read_text(encoding="utf-8")
    for split, count in (("train", 80), ("dev", 20), ("test", 20)):
        lines = (data / "zh" / "chnsenticorp" / f"{split}.tsv").read_text(encoding="utf-8").splitlines()
        (folder / f"{split}.tsv").write_text("\n".join(lines[: count + 1]) + "\n", encoding="utf-8")
        text += "".join(lines[: count + 1])
    lines = (data / "kg" / "zh" / "HowNet.spo").read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if len(word := line.partition("\t")[0]) > 1 and word in text]
    (folder / "HowNet.spo").write_text("\n".join(kept) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tutorial]:
    folder = tmp_path_factory.mktemp("chinese")
    lay_out(folder / "hotels")
    tutorial = Tutorial("chinese", {"hotels/pipeline.yaml": SMALLER})
    with pytest.MonkeyPatch.context() as patch:
        tutorial.follow(folder, patch)
        yield tutorial


def test_graph_words_are_linked_and_injected(followed: Tutorial) -> None:
    assert "卫生间" in followed.output_of("kepipe link --explain")
    assert "wrote hotels/tree.html" in followed.output_of("kepipe inject")
    tree = Path("hotels/tree.html").read_text(encoding="utf-8")
    assert 'lang="zh"' in tree
    assert "排泄" in tree  # what HowNet says of 卫生间
    assert "warning" not in followed.output_of("kepipe config check")


def test_study_has_every_arm_and_a_verdict(followed: Tutorial) -> None:
    study = json.loads(Path("workspace/hotels/study/study.json").read_text(encoding="utf-8"))
    (finding,) = study["findings"]
    assert finding["measure"] == "opinion/test/accuracy"
    assert set(finding["arms"]) == {
        "graph-on",
        "graph-off",
        "graph-shuffled",
        "names-only",
        "triples-as-text",
    }
    assert study["verdict"]
    assert (Path("workspace/hotels/study/report.html")).is_file()


def test_model_predicts_reviews(followed: Tutorial) -> None:
    lines = [line for line in followed.output_of("kepipe predict").splitlines() if "\t" in line]
    assert [line.rpartition("\t")[2] for line in lines] == ["性价比高，服务态度好", "卫生间又小又吵"]
    answers = followed.printed.splitlines()
    assert [answer.split()[0] in "01" for answer in answers] == [True, True]
    assert "性价比" in answers[0]
    assert "卫生间" in answers[1]
