"""Markdown and its text."""

from __future__ import annotations

from pathlib import Path

from tests.support.texts import write_and_read


def test_markup_links_and_code_are_removed(tmp_path: Path) -> None:
    text = (
        "---\nkey: value\n---\n# The *title*\n\nHello **you**, [link](http://x.org) and `word`,\nwrapped.\n\n"
        "```\ncode\n```\n\n- item\n\n| a | b |\n|---|---|\n| c | d |\n\n<div>html</div>\n"
    )
    (document,) = write_and_read(tmp_path, "d.md", text).documents
    assert document.id == "d.md"
    assert document.title == "The title"
    assert document.text == "The title\n\nHello you, link and word, wrapped.\n\nitem\n\na\n\nb\n\nc\n\nd"


def test_a_file_without_text_is_reported(tmp_path: Path) -> None:
    assert write_and_read(tmp_path, "d.md", "```\nx\n```\n").problems == [
        "d.md: there is no text in the file"
    ]
