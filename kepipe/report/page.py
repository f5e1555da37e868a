"""A page as plain values: sections of paragraphs, figures and tables; `render` writes the HTML file.

All reports are built from these (a pipeline's, a study's). The page needs no network and no JavaScript, and equal
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
    """A paragraph. Plain text is escaped; pass `Markup` for HTML. `quiet` uses small type.

    `kind="html"` is for `Markup` that contains its own paragraphs.
    """

    body: str
    quiet: bool = False
    kind: str = "text"


@dataclass(frozen=True)
class Figure:
    """A drawing (an SVG) above its caption; `wide` uses the full width of the page."""

    svg: Markup
    caption: str
    wide: bool = False
    kind: str = "figure"


@dataclass(frozen=True)
class Table:
    """Rows with a head. Columns listed in `numbers` (by index) are right-aligned with tabular figures.

    `beside`: narrow enough to be placed next to the previous figure.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    caption: str = ""
    numbers: tuple[int, ...] = ()
    beside: bool = False
    kind: str = "table"


@dataclass(frozen=True)
class Code:
    """Code in a monospaced font: a command, a digest."""

    body: str
    kind: str = "code"


@dataclass(frozen=True)
class Quotes:
    """Quoted passages, each (text above it, the passage, text below it)."""

    items: tuple[tuple[str, str, str], ...]
    kind: str = "quotes"


Block = Text | Figure | Table | Code | Quotes


@dataclass(frozen=True)
class Section:
    """A titled section; `name` is its anchor: letters, digits and dashes from the code, not from data. Raises
    ValueError for another."""

    name: str
    title: str
    blocks: tuple[Block, ...]

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[\w-]+", self.name):
            raise ValueError(f"a section's anchor {self.name!r}: expected letters, digits and dashes")


@dataclass(frozen=True)
class Fact:
    """A key number, with its label and its uncertainty. `series` ≥ 0 uses the colour of that arm."""

    label: str
    value: str
    note: str = ""
    series: int = -1


@dataclass(frozen=True)
class Page:
    """A report: `kicker` above the title, a `headline` sentence with the conclusion, facts, sections."""

    title: str
    kicker: str
    headline: str
    lead: str = ""
    facts: tuple[Fact, ...] = ()
    sections: tuple[Section, ...] = field(default=())
    footer: str = ""


def _lang(text: Any) -> Markup:
    """The `lang` attribute of a passage or cell in Chinese, so that a browser displays and speaks it correctly; the
    pages' own text is English."""
    language = language_of([re.sub("<[^>]*>", "", str(text))], fewest=1)
    return Markup(' lang="zh"') if language == "zh" else Markup()


def render(page: Page) -> str:
    """The page as one HTML file. Its content security policy forbids scripts and external resources, in addition to the
    escaping of all texts."""
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
