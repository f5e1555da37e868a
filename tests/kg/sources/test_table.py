"""The table of formats: each is found by its name, and readers share what they should."""

from __future__ import annotations

from pathlib import Path

import pytest

from kg.sources.reading import rank_language
from kg.sources.table import FORMATS, guess


@pytest.mark.parametrize(
    ("name", "format"),
    [
        ("HowNet.spo", "spo"),
        ("triples.tsv", "native"),
        ("Export.CSV", "csv"),
        ("labels_en.nt.bz2", "rdf"),
        ("onto.owl", "rdf"),
        ("latest-all.json.gz", "wikidata"),
        ("data.noun", "wordnet"),
        ("g.graphml", "graphml"),
    ],
)
def test_formats_by_name(name: str, format: str) -> None:
    assert guess(Path(name)).name == format


def test_folders(tmp_path: Path) -> None:
    assert guess(tmp_path).name == "native"
    (tmp_path / "data.verb").touch()
    assert guess(tmp_path).name == "wordnet"


def test_an_unknown_name_lists_what_is_known() -> None:
    with pytest.raises(ValueError, match=r"notes\.txt: cannot tell its format .*\.spo"):
        guess(Path("notes.txt"))


@pytest.mark.parametrize("format", FORMATS.values(), ids=list(FORMATS))
def test_a_missing_file_is_said(format: object, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"expected a|no such file"):
        FORMATS[format.name].files(tmp_path / "missing" / "x")  # type: ignore[attr-defined]


def test_languages() -> None:
    assert rank_language("zh", ("zh", "en")) == 0
    assert rank_language("zh-Hans", ("zh", "en")) == 1
    assert rank_language("zh_cn", ("ZH", "en")) == 1
    assert rank_language("en", ("zh", "en")) == 2
    assert rank_language("", ("zh", "en")) == rank_language("mul", ("zh", "en")) == 4
    assert rank_language("zhuang", ("zh",)) is None
    assert rank_language("de", ("zh",)) is None
