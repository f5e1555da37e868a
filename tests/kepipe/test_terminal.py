"""Text of others is printed without control sequences, whatever prints it."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.tree import Tree

from kepipe.terminal import clean, console, echo, style

HOSTILE = "\x1b]0;title\x07\x1b[31mred\x1b[2J\x9b31m\x1b]8;;http://evil\x07\r\x08\x7f\u202eabc\ud800"
OBEYED = ("\x1b", "\x07", "\x9b", "\r", "\x08", "\x7f", "\u202e", "\ud800")


def test_control_characters_are_printed_as_json_escapes() -> None:
    harmless = "\tMünchen 北京 👩\u200d💻\n"
    assert clean(f"\x1b[2J \x9b \u202e{harmless}") == f"\\u001b[2J \\u009b \\u202e{harmless}"
    record = {"text": HOSTILE}
    assert json.loads(clean(json.dumps(record, ensure_ascii=False))) == record


def test_only_our_own_colours_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    look = style(f"a{HOSTILE}", fg="green")
    assert look.startswith("\x1b[32ma\\u001b]0;title")
    assert look.count("\x1b") == 2
    echo(look, HOSTILE, err=True)
    printed = capsys.readouterr().err
    assert not any(mark in printed for mark in OBEYED)  # no terminal here: our colours go too


def test_rich_output_is_cleaned_at_any_depth() -> None:
    stream = StringIO()
    screen = console(file=stream, width=200, force_terminal=True, color_system="truecolor")
    table, tree = Table(title=escape(HOSTILE)), Tree(escape(HOSTILE))
    table.add_column(escape(HOSTILE))
    table.add_row(Panel(escape(HOSTILE)))
    tree.add(f"[bold]{escape(HOSTILE)}[/]").add(table)
    screen.print(tree)
    screen.print(HOSTILE, markup=False)
    drawn = stream.getvalue()
    assert drawn.count("\\u001b]0;title") >= 5
    assert "\x1b[1m" in drawn  # bold is ours
    for mark in ("\x1b]", "\x1b[31mred", "\x1b[2J", *OBEYED[1:]):
        assert mark not in drawn
