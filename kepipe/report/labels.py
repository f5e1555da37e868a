"""Labels of a chart, of any length and in Latin or Chinese script: folded into lines, shortened, with the full text as
the SVG's `<title>`, which browsers show at the pointer.

matplotlib measures texts by a font without Chinese characters. So it is given letters of about their width, which are
replaced in the finished SVG.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import TYPE_CHECKING

from kepipe.report.markup import fill
from kg.characters import in_xml

if TYPE_CHECKING:
    from matplotlib.text import Text

_AS_WIDE = "W"
"""The letter whose width is about that of a Chinese character."""


def width_of(text: str) -> int:
    """The width of a text in letters: two for a Chinese character, one for others."""
    return sum(1 + _is_wide(character) for character in text)


def folded(text: str, width: int) -> list[str]:
    """The text in lines of a width of at most `width`, broken after a blank, a hyphen or the like, or beside a Chinese
    character; inside a word only where a line would be left half empty."""
    lines, rest = [], re.sub(r"[\t\r\n]", " ", text)
    while width_of(rest) > width:
        fits = next(end for end in range(len(rest), 0, -1) if width_of(rest[:end]) <= width or end == 1)
        end = next((end for end in range(fits, fits // 2, -1) if _breaks(rest[end - 1], rest[end])), fits)
        lines.append(rest[:end].rstrip())
        rest = rest[end:].lstrip()
    return [*lines, rest]


def shortened(text: str, width: int, lines: int) -> list[str]:
    """As `folded`, in at most `lines` lines: the middle of a longer text is left out, since names differ at their
    ends."""
    for kept in range(min(len(text), width * lines), 0, -1):
        tail = kept // 3
        short = (
            text
            if kept == len(text)
            else f"{text[: kept - tail].rstrip()}…{text[len(text) - tail :].lstrip()}"
        )
        if len(found := folded(short, width)) <= lines:
            return found
    return [text]


class Labels:
    """The labels of one drawing."""

    def __init__(self) -> None:
        self._added: list[tuple[list[str], str]] = []

    def add(self, text: str, width: int, lines: int) -> tuple[str, str]:
        """What matplotlib is to draw for a text, in at most `lines` lines of the width `width`, and its id."""
        text = in_xml(text)
        shown = shortened(text, width, lines)
        self._added.append((shown, text))
        return "\n".join(map(_stand_in, shown)), f"label-{len(self._added) - 1}"

    def put(self, artist: Text, text: str, width: int, lines: int) -> None:
        """Have an artist show a text."""
        drawn, name = self.add(text, width, lines)
        artist.set_text(drawn)
        artist.set_gid(name)

    def restore(self, svg: str) -> str:
        """matplotlib's SVG with the labels' own characters, and the full text of those that were shortened."""

        def restored(group: re.Match[str]) -> str:
            shown, text = self._added[int(group[1])]
            lines: Iterator[str] = iter(shown)
            written = re.sub(r">[^<]*</text>", lambda _: fill(">{}</text>", next(lines)), group[2])
            title = fill("<title>{}</title>", text) if any("…" in line for line in shown) else ""
            return f'<g id="label-{group[1]}">{title}{written}</g>'

        return re.sub(r'<g id="label-(\d+)">(.*?)</g>', restored, svg, flags=re.DOTALL)


def _is_wide(character: str) -> bool:
    return unicodedata.east_asian_width(character) in "WF"


def _breaks(before: str, after: str) -> bool:
    """Whether a line may end between two characters."""
    return before in " -/_,;" or after == " " or _is_wide(before) or _is_wide(after)


def _stand_in(line: str) -> str:
    return "".join(_AS_WIDE if _is_wide(character) else character for character in line)
