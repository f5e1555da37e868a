"""The one place that prints. What others wrote (labels, texts, file names, errors) is shown and not obeyed.

A terminal obeys control characters: they move the cursor, set the title of the window, or turn text around. Here each
stands as JSON writes it, `\\u001b`, so that a line of JSON stays the JSON that it was. Passwords in addresses are
hidden. ruff sees to it that nothing else prints (`banned-api` in `pyproject.toml`).
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from kepipe.redaction import redact

if TYPE_CHECKING:
    from rich.console import Console

_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufff9-\ufffb]")
"""Control characters but for tab and line feed, marks that change the direction of writing, halves of surrogates."""


def clean(text: str) -> str:
    """The text with nothing in it that a terminal obeys, and without passwords."""
    return _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", redact(text))


class Styled(str):
    """A text that is clean and has our own colours around it."""

    __slots__ = ()


def style(text: str, **look: Any) -> Styled:
    """The text, cleaned, in a colour (`fg`), or `bold`."""
    import typer

    return Styled(typer.style(clean(text), **look))


def echo(*parts: str, err: bool = False) -> None:
    """Print a line of these parts, cleaned; to standard error if `err`. Colours are left out where no terminal is."""
    import typer

    typer.echo(joined(parts), err=err)
    (sys.stderr if err else sys.stdout).flush()


def print_all_letters() -> None:
    """Have letters that the terminal's encoding lacks printed as JSON writes them, too."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


class Screen(io.TextIOBase):
    """Standard output as a file to write to, cleaned."""

    def write(self, text: str) -> int:
        sys.stdout.write(clean(text))
        return len(text)


def joined(parts: Iterable[str]) -> str:
    """The parts as one text, cleaned but for their colours."""
    return "".join(part if isinstance(part, Styled) else clean(part) for part in parts)


def console(**settings: Any) -> Console:
    """rich's console; whatever is drawn on it is cleaned. Write labels with `rich.markup.escape`, as ever."""
    from rich.console import Console
    from rich.segment import Segment

    class CleanConsole(Console):
        def render(self, renderable: Any, options: Any = None) -> Iterable[Segment]:
            for segment in super().render(renderable, options):
                yield segment if segment.control else Segment(clean(segment.text), segment.style)

    return CleanConsole(emoji=False, **settings)
