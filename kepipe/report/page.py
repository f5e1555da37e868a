"""A page as plain values: sections of paragraphs, figures and tables; `render` makes the HTML file.

Any report is built from these (a pipeline's, a study's). The page needs no network and no JavaScript, and equal
values give equal bytes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from kepipe.data.script import language_of
from kepipe.report.markup import Markup, shown


@dataclass(frozen=True)
class Text:
    """A paragraph. Plain text is escaped; pass `Markup` for HTML of one's own. `quiet` sets it small.

    `kind="html"` is for `Markup` with paragraphs of its own.
    """

    body: str
    quiet: bool = False
    kind: str = "text"


@dataclass(frozen=True)
class Figure:
    """A drawing (an SVG) over its caption; `wide` takes the width of the page."""

    svg: Markup
    caption: str
    wide: bool = False
    kind: str = "figure"


@dataclass(frozen=True)
class Table:
    """Rows under a head. Columns named in `numbers` (by index) are set flush right in tabular figures.

    `beside`: narrow enough to stand beside the figure before it.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    caption: str = ""
    numbers: tuple[int, ...] = ()
    beside: bool = False
    kind: str = "table"


@dataclass(frozen=True)
class Code:
    """Text in a fixed-width face: a command, a digest."""

    body: str
    kind: str = "code"


@dataclass(frozen=True)
class Quotes:
    """Passages of text, each (what is above it, the passage, what is below it)."""

    items: tuple[tuple[str, str, str], ...]
    kind: str = "quotes"


Block = Text | Figure | Table | Code | Quotes


@dataclass(frozen=True)
class Section:
    """A titled part; `name` is its anchor: letters of ours, no title of others. Raises ValueError for another."""

    name: str
    title: str
    blocks: tuple[Block, ...]

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[\w-]+", self.name):
            raise ValueError(f"a section's anchor {self.name!r}: expected letters, digits and dashes")


@dataclass(frozen=True)
class Fact:
    """A number worth seeing first, with what it is and how sure it is. `series` ≥ 0 takes that arm's colour."""

    label: str
    value: str
    note: str = ""
    series: int = -1


@dataclass(frozen=True)
class Page:
    """A report: `kicker` above the title, the `headline` sentence that answers its question, facts, sections."""

    title: str
    kicker: str
    headline: str
    lead: str = ""
    facts: tuple[Fact, ...] = ()
    sections: tuple[Section, ...] = field(default=())
    footer: str = ""


def _lang(text: Any) -> Markup:
    """The attribute that says of a passage or a cell that it is Chinese, so that a browser reads and writes it so; the
    pages' own words are English."""
    language = language_of([re.sub("<[^>]*>", "", str(text))], fewest=1)
    return Markup(' lang="zh"') if language == "zh" else Markup()


def render(page: Page) -> str:
    """The page as one HTML file. A browser that shows it runs no script and loads nothing: the page's policy forbids
    both, besides that no text of others becomes HTML."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("kepipe.report", "."),
        autoescape=True,
        finalize=shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["lang"] = _lang
    style = resources.files("kepipe.report").joinpath("page.css").read_text(encoding="utf-8")
    return environment.get_template("page.html.jinja").render(page=page, style=Markup(style)) + "\n"
