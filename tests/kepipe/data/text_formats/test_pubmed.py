"""PubMed's citations."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.texts import read_texts, write_and_read


def article(pmid: str, inside: str) -> str:
    citation = f"<PMID>{pmid}</PMID><Article>{inside}</Article>"
    return f"<PubmedArticle><MedlineCitation>{citation}</MedlineCitation></PubmedArticle>"


def test_pubmed_title_and_abstract_are_read(tmp_path: Path) -> None:
    abstract = '<Abstract><AbstractText Label="AIM">To see.</AbstractText><AbstractText>Seen.</AbstractText></Abstract>'
    whole = article("12", f"<ArticleTitle>On <i>E. coli</i>.</ArticleTitle>{abstract}")
    text = f"<?xml version='1.0'?>\n<PubmedArticleSet>{whole}{article('13', '<ArticleTitle>Alone</ArticleTitle>')}"
    found = write_and_read(tmp_path, "p.xml", text + "</PubmedArticleSet>")
    (document,) = found.documents
    assert (document.id, document.text) == ("12", "On E. coli.\nAim: To see.\nSeen.")
    assert "left out: articles without an abstract: 1" in found.notes
    cut = write_and_read(tmp_path, "p.xml", text)
    assert len(cut.documents) == 1
    assert cut.problems[0].startswith("p.xml:2: not XML from here on")


def test_other_xml_is_skipped(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("A.")
    (tmp_path / "b.xml").write_text("<svg/>")
    found = read_texts(tmp_path)
    assert found.texts == ["A."]
    assert found.notes[-1] == "skipped: 1 files that are hidden or of an unknown format: 1 .xml"


def test_entity_expansion_bombs_are_refused(tmp_path: Path) -> None:
    levels = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))
    text = f'<!DOCTYPE PubmedArticleSet [<!ENTITY a0 "laugh">{levels}]><PubmedArticleSet>&a11;</PubmedArticleSet>'
    with pytest.raises(ValueError, match="this entity expands to up to"):
        write_and_read(tmp_path, "p.xml", text)
