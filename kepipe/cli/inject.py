"""`kepipe inject`: show a text with injected triples as a tree, in the terminal or on a page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kepipe.api.graphs import opened_graph
from kepipe.knowledge.choosing.choices import ChoiceName
from kepipe.terminal import console, echo

if TYPE_CHECKING:
    from kepipe.data.document import Mention
    from kepipe.knowledge.kbert.show import Shown


def inject(
    text: Annotated[str, typer.Argument(help="A sentence.")],
    graph: Annotated[
        Path,
        typer.Option("--graph", "-g", help="A stored graph, or a file of any format that `graph` reads."),
    ],
    html: Annotated[Path | None, typer.Option(help="Write an HTML page with the tree.")] = None,
    tokenizer: Annotated[
        str | None,
        typer.Option(
            help="`minilm`, a tokenizer's folder, or a vocab.txt. Default: words, and Chinese characters."
        ),
    ] = None,
    choice: Annotated[ChoiceName, typer.Option(help="How triples are ranked.")] = "graph",
    branches: Annotated[int, typer.Option(min=1, help="Maximum number of triples per mention.")] = 2,
    length: Annotated[int, typer.Option(min=8, help="Maximum row length in tokens.")] = 256,
    predicate: Annotated[bool, typer.Option(help="Write the relation's name before the object.")] = True,
    vectors: Annotated[Path | None, typer.Option(help="Entity vectors, for `--choice plausible`.")] = None,
    linker: Annotated[
        Path | None, typer.Option(help="A linker's folder. Default: names are looked up exactly.")
    ] = None,
    causal: Annotated[
        bool, typer.Option("--causal", help="Show the tree as a causal model (GPT) sees it.")
    ] = False,
    upstream: Annotated[
        bool, typer.Option("--upstream", help="Cut long rows as K-BERT's released code does.")
    ] = False,
) -> None:
    """Show which triples K-BERT writes into a text, at which mention, and which tokens see them."""
    from kepipe.knowledge.kbert.settings import KBert
    from kepipe.knowledge.kbert.show import show
    from kepipe.tokenization.tokenizer import load_tokenizer

    settings = KBert(
        max_branches=branches, predicate=predicate, choice=choice, length=length, upstream=upstream
    )
    with opened_graph(graph) as opened:
        shown = show(
            text,
            opened,
            settings,
            None if tokenizer is None else load_tokenizer(tokenizer),
            mentions=None if linker is None else _link(linker, text),
            causal=causal,
            vectors=vectors,
        )
    if html is not None:
        from kepipe.report.page import render
        from kepipe.report.tree import tree_page

        html.write_text(render(tree_page(shown, graph.name)), encoding="utf-8")
        echo(f"wrote {html}")
        return
    _print(shown)


def _link(folder: Path, text: str) -> list[Mention]:
    from kepipe.finetuning.mention_finders import language_of
    from kepipe.linking.linker import Linker
    from kepipe.linking.text.annotators import make_annotator

    linker, annotator = Linker.open(folder), make_annotator(language_of([text]), None)
    return list(linker.link(text, next(iter(annotator.annotate([text])))))


def _print(shown: Shown) -> None:
    """Print the tree, then the model's input row."""
    from rich.markup import escape
    from rich.table import Table
    from rich.tree import Tree

    from kepipe.knowledge.kbert.show import reason

    screen = console(highlight=False, soft_wrap=True)
    root = Tree(escape(shown.text))
    mentions: dict[int, Tree] = {}
    for hung in shown.hung:
        if hung.mention not in mentions:
            name = hung.surface if hung.surface == hung.entity else f"{hung.surface} ({hung.entity})"
            mentions[hung.mention] = root.add(f"[bold]{escape(name)}[/bold]")
        room = "" if hung.branch else ", no room"
        fact = escape(f"{hung.relation} → {hung.object}")
        mentions[hung.mention].add(f"{fact}  [dim]{escape(reason(hung, shown.choice))}{room}[/dim]")
    screen.print(root)
    injected = shown.injected
    table = Table("hard", "soft", "token", "hangs from", "branch", "sees", box=None, pad_edge=False)
    sentence = {int(place): n for n, place in enumerate(injected.places[0])}
    for place, token in enumerate(shown.tokens):
        branch, mention = int(injected.branch[0, place]), int(injected.mention[0, place])
        table.add_row(
            str(place),
            str(injected.positions[0, place]),
            escape(token if place in sentence else f"  {token}"),
            escape(next((hung.surface for hung in shown.hung if hung.mention == mention), ""))
            if branch
            else "",
            str(branch) if branch else "",
            _ranges([n for n in range(len(shown.tokens)) if shown.visible[place, n]]),
        )
    screen.print()
    screen.print(table)


def _ranges(places: list[int]) -> str:
    """Ranges of consecutive numbers: `0–2, 5`."""
    runs: list[list[int]] = []
    for place in places:
        if runs and place == runs[-1][1] + 1:
            runs[-1][1] = place
        else:
            runs.append([place, place])
    return ", ".join(f"{first}–{last}" if last > first else f"{first}" for first, last in runs)
