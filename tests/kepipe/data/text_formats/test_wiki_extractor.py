"""WikiExtractor's files."""

from __future__ import annotations

from pathlib import Path

from tests.support.texts import write_and_read


def test_articles_in_doc_tags(tmp_path: Path) -> None:
    text = (
        '<doc id="12" url="u" title="A &amp; B">\nA &amp; B\n\nFirst &lt;1.\nSecond.\n</doc>\n'
        '<doc id="13" url="u" title="Redirect">\nRedirect\n</doc>\nlost\n<doc id="14" title="C">\nOpen.\n'
    )
    found = write_and_read(tmp_path, "wiki_00", text)
    (document,) = found.documents
    assert (document.id, document.title, document.text) == ("12", "A & B", "First <1.\nSecond.")
    assert "left out: articles without text, as redirects are: 1" in found.notes
    assert [problem.split(": ")[0] for problem in found.problems] == ["wiki_00:10", "wiki_00:11"]


def test_articles_as_json_lines(tmp_path: Path) -> None:
    found = write_and_read(
        tmp_path, "wiki_01", '{"id": "1", "title": "T", "text": "Text."}\n{"id": "2", "text": ""}\n'
    )
    assert [(document.id, document.title) for document in found.documents] == [("1", "T")]
    assert not found.problems
