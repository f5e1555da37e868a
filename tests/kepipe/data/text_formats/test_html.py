"""Web pages and their text."""

from __future__ import annotations

from pathlib import Path

from tests.support.texts import write_and_read


def test_visible_text_is_read(tmp_path: Path) -> None:
    page = (
        "<!DOCTYPE html><html><head><title>On &amp; off</title><style>p{}</style></head><body><nav>Menu</nav>"
        "<h1>Head</h1><p>One <b>bo</b>ld\nline.<br>Two &lt;3.</p><script>alert('<p>no</p>')</script><ul><li>a<li>b</ul>"
    )
    (document,) = write_and_read(tmp_path, "d.HTML", page).documents
    assert (document.title, document.text) == ("On & off", "Head\nOne bold line.\nTwo <3.\na\nb")


def test_malformed_pages_are_read(tmp_path: Path) -> None:
    assert write_and_read(tmp_path, "d.htm", "<p>a</script></nav><b>b").texts == ["a\nb"]
    assert write_and_read(tmp_path, "e.htm", "<script>a").problems == ["e.htm: there is no text in the file"]
