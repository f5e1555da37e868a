"""Tables on the terminal for `kepipe link`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from kepipe.terminal import console

if TYPE_CHECKING:
    from kepipe.linking.evaluation.assess import Assessment
    from kepipe.linking.evaluation.explain import Explained
    from kepipe.linking.linker import Linker
    from kepipe.report.page import Page


def show_scores(name: str, assessments: Mapping[str, Assessment]) -> None:
    """Print the scores of a linker (the first assessment) and its baselines on a gold set, and the linker's errors."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(name), title_justify="left")
    for head in ("", "P", "R", "F1", "macro F1", "overall F1", "NIL F1"):
        table.add_column(head, justify="left" if not head else "right")
    for who, each in assessments.items():
        inside = each.in_graph
        figures = (
            inside.precision,
            inside.recall,
            inside.f1,
            inside.macro_f1,
            each.overall.f1,
            each.outside.f1,
        )
        table.add_row(escape(who), *(f"{figure:.3f}" for figure in figures))
    of_linker = next(iter(assessments.values()))
    screen = console()
    screen.print(table)
    screen.print(
        f"{of_linker.in_graph.given:,} gold mentions in the graph, {of_linker.outside.given:,} outside it; "
        f"candidate recall {of_linker.candidate_recall:.1%}."
    )
    screen.print(
        "Errors of the linker: "
        + ", ".join(f"{count} {mistake}" for mistake, count in of_linker.mistakes().most_common())
    )


def show_decisions(explained: Sequence[Explained], linker: Linker, threshold: float | None) -> None:
    """Print each name in a text with its candidates and the features that decided."""
    from rich.markup import escape
    from rich.table import Table

    screen = console()
    limit = linker.ranker.threshold if threshold is None else threshold
    if not explained:
        screen.print("The text contains no name of the graph.")
    colours = {
        "linked": "green",
        "below the threshold": "red",
        "another name overlaps": "yellow",
        "no name to NER": "yellow",
        "not marked": "dim",
    }
    for name in explained:
        colour = colours[name.outcome]
        why = f", {escape(name.note)}" if name.note else f" (threshold {limit:g})"
        table = Table(
            title=f"[bold]{escape(name.surface)}[/] {name.start}–{name.end}: [{colour}]{name.outcome}[/]{why}",
            title_justify="left",
        )
        table.add_column("entity")
        table.add_column("label")
        table.add_column("prior", justify="right")
        table.add_column("score", justify="right")
        table.add_column("features (feature = value: contribution to the logit)")
        for place, choice in enumerate(name.choices[:5]):
            parts = ", ".join(
                f"{feature} = {value:.2g}: {adds:+.2f}" for feature, value, adds in choice.parts[:7]
            )
            style = colour if place == 0 else "dim"
            table.add_row(
                escape(choice.entity),
                escape(choice.label),
                f"{choice.prior:.2f}",
                f"{choice.score:.3f}",
                escape(parts),
                style=style,
            )
        screen.print(table)


def show_page(page: Page) -> None:
    """Print a page's headline and tables, without its charts."""
    from rich import table
    from rich.markup import escape

    from kepipe.report.page import Table

    screen = console()
    screen.print(f"[bold]{escape(page.headline)}[/]\n{escape(page.lead)}")
    for section in page.sections:
        for block in section.blocks:
            if isinstance(block, Table):
                drawn = table.Table(title=escape(block.caption or section.title), title_justify="left")
                for place, head in enumerate(block.head):
                    drawn.add_column(
                        escape(head),
                        justify="right" if place in block.numbers else "left",
                        overflow="fold",  # Chinese has no spaces to wrap at
                    )
                for row in block.rows:
                    drawn.add_row(*(escape(_plain(cell)) for cell in row))
                screen.print(drawn)


def _plain(cell: object) -> str:
    """A cell of a page as text."""
    from kepipe.report.markup import Markup

    return cell.striptags() if isinstance(cell, Markup) else str(cell)
