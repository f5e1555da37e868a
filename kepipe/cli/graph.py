"""`kepipe graph`: import, validate, describe, query and draw knowledge graphs."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kepipe.api.graphs import read_into, report_problems
from kepipe.cli.graph_source import choices_of, format_of
from kepipe.terminal import echo

if TYPE_CHECKING:
    from kg.store import Graph
    from kg.view import Facts

app = typer.Typer(help="Import, validate, describe, query and draw knowledge graphs.", no_args_is_help=True)

_SHOWN = 10
StoreArgument = Annotated[
    Path,
    typer.Argument(metavar="GRAPH", help="A stored graph: `graph import`'s, or a pipeline's stage `graph`."),
]
SourceArgument = Annotated[str, typer.Argument(help="A file or folder, or `geonames`.")]
FormatOption = Annotated[
    str | None,
    typer.Option(
        "--format", help="Format, as listed in docs/formats.md. Default: detected from content and name."
    ),
]
LanguageOption = Annotated[
    list[str] | None,
    typer.Option("--language", "-l", help="Language of names, preferred first. May be repeated. \\[en]"),
]
ColumnsOption = Annotated[
    str | None,
    typer.Option(help="CSV: the columns of head, relation and tail, such as `item,property,value`."),
]
SitelinksOption = Annotated[int, typer.Option(min=0, help="Wikidata: skip items with fewer site links.")]
PopulationOption = Annotated[
    int, typer.Option(min=0, help="GeoNames: minimum population of cities, 500 or more.")
]
RelationOption = Annotated[
    list[str] | None,
    typer.Option(help="Import only triples of this relation (id or label). May be repeated."),
]
WithoutRelationOption = Annotated[
    list[str] | None, typer.Option(help="Skip triples of this relation (id or label). May be repeated.")
]
StrictOption = Annotated[bool, typer.Option("--strict", help="Stop at the first bad line.")]


@app.command("import")
def import_(
    source: SourceArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the stored graph.")],
    format: FormatOption = None,
    language: LanguageOption = None,
    columns: ColumnsOption = None,
    min_sitelinks: SitelinksOption = 0,
    min_population: PopulationOption = 15000,
    relation: RelationOption = None,
    without_relation: WithoutRelationOption = None,
    hold_out: Annotated[
        float, typer.Option(min=0, max=0.4, help="Share of triples held out for each of valid and test.")
    ] = 0.0,
    seed: Annotated[int, typer.Option(min=0, help="Seed for drawing the held-out triples.")] = 0,
    strict: StrictOption = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing graph.")] = False,
) -> None:
    """Read a graph of any format into a store; bad lines are counted, listed and skipped."""
    import json

    import numpy as np

    from kepipe.cli.graph_place import replacing
    from kg.problems import Problems
    from kg.sources.reading import Relations
    from kg.splits import hold_out as divide
    from kg.writer import GraphWriter

    if out.is_file() or (out.exists() and not (out / "graph.json").is_file() and any(out.iterdir())):
        raise FileExistsError(f"{out}: is not empty and not a graph; choose another --out")
    if (out / "graph.json").is_file() and not force:
        raise FileExistsError(f"{out}: has a graph already; --force replaces it")
    problems = Problems(strict=strict)
    chosen = format_of(source, format)
    relations = Relations(tuple(relation or ()), tuple(without_relation or ()))
    choices = choices_of(chosen, language, columns, min_sitelinks, min_population, relations)
    with replacing(out) as folder:
        writer = GraphWriter(folder)
        account = read_into(Path(source), chosen, writer, problems, choices)
        divided = writer.count("valid") or writer.count("test")
        if hold_out and not divided:
            rng = np.random.default_rng([seed, 0])
            writer.replace_triples(divide(writer.triples("train"), rng, hold_out, hold_out))
        counted = _counts(writer.finish())
        (writer.folder / "problems.json").write_text(
            json.dumps(problems.to_json(), indent=1, ensure_ascii=False), encoding="utf-8"
        )
    report_problems(problems, account, writer.repeated)
    if hold_out and divided:
        echo("--hold-out has no effect: the source has its own splits", err=True)
    elif hold_out and not (writer.count("valid") and writer.count("test")):
        echo(
            "--hold-out: too few triples can be held out, since every entity must stay in the training triples",
            err=True,
        )
    echo(f"{out}: {counted}")


@app.command()
def validate(
    source: Annotated[str, typer.Argument(help="A stored graph, or a source as for `import`.")],
    format: FormatOption = None,
    language: LanguageOption = None,
    columns: ColumnsOption = None,
    strict: StrictOption = False,
) -> None:
    """Check a stored graph or a source; the exit code is 1 if it has invalid lines or is unusable."""
    from kg.problems import Problems
    from kg.store import open_graph
    from kg.validation import validate as examine
    from kg.writer import GraphWriter

    problems = Problems(strict=strict)
    account, repeated = None, Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        if (Path(source) / "graph.json").is_file():
            graph = open_graph(Path(source))
        else:
            chosen, writer = format_of(source, format), GraphWriter(Path(folder))
            account = read_into(Path(source), chosen, writer, problems, choices_of(chosen, language, columns))
            graph = writer.finish()
            repeated = writer.repeated
        findings = examine(graph)
        report_problems(problems, account, repeated)
        for finding in findings:
            echo(str(finding))
        echo(f"{source}: {_counts(graph)}")
    if problems or any(finding.level == "error" for finding in findings):
        raise typer.Exit(1)


@app.command()
def describe(
    store: StoreArgument,
    html: Annotated[Path | None, typer.Option(help="Write a page with charts too.")] = None,
    graphml: Annotated[Path | None, typer.Option(help="Write the graph as GraphML too.")] = None,
) -> None:
    """Print statistics of a graph: degrees, connected components, cardinalities of relations, ambiguous names."""
    from kg.statistics import measure
    from kg.store import open_graph

    graph = open_graph(store)
    figures = measure(graph)
    echo(_counts(graph))
    echo(
        f"degree: mean {figures.degree_mean:.1f}, median {figures.degree_median:.0f}, maximum {figures.degree_max:,}"
    )
    largest = f", the largest of {figures.components[0]:,} entities" if figures.components else ""
    echo(f"connected components: {len(figures.components):,}{largest}")
    for one in figures.relations[:_SHOWN]:
        echo(f"  {one.triples:>12,}  {one.cardinality}  {graph.relation(one.relation).label}")
    if len(figures.relations) > _SHOWN:
        echo(f"  {'…':>12}  and {len(figures.relations) - _SHOWN:,} more relations")
    if figures.ambiguous:
        echo("most ambiguous names:")
        for name in figures.ambiguous[:_SHOWN]:
            echo(f"  {name.entities:>12,}  {name.name}")
    if html:
        from kepipe.report.graph import statistics_page
        from kepipe.report.page import render
        from kg.validation import validate as examine

        html.write_text(
            render(statistics_page(graph, figures, examine(graph), store.resolve().name)), encoding="utf-8"
        )
        echo(f"wrote {html}")
    if graphml:
        from kg.networkx_graph import write_graphml

        write_graphml(graph, graphml)
        echo(f"wrote {graphml}")


@app.command()
def query(
    store: StoreArgument,
    name: Annotated[str, typer.Argument(help="An entity's id, label or alias.")],
    limit: Annotated[
        int, typer.Option(min=1, help="Maximum number of names, and of facts in each direction.")
    ] = 20,
) -> None:
    """Print an entity's names, types and triples."""
    from kg.store import open_graph
    from kg.view import facts_of

    graph = open_graph(store)
    row, *others = _find(graph, name)
    entity = graph.entity(row)
    echo(f"{entity.label}  [{entity.id}]  {entity.description}".rstrip())
    if entity.types:
        echo(f"types: {', '.join(entity.types)}")
    if entity.aliases:
        more = f", … {len(entity.aliases) - limit:,} more (--limit)" if len(entity.aliases) > limit else ""
        echo(f"also called: {', '.join(entity.aliases[:limit])}{more}")
    if entity.prior:
        echo(f"prior: {entity.prior:,.0f}" if entity.prior.is_integer() else f"prior: {entity.prior:,.6g}")
    for title, facts in zip(("out", "in"), facts_of(graph, row), strict=True):
        total = sum(len(one.others) for one in facts)
        echo(f"{title}: {total:,}")
        for one in _share(facts, limit):
            named = graph.relation(one.relation).label
            for other in one.others:
                head, tail = (row, other) if title == "out" else (other, row)
                echo(f"  {graph.labels[head]} – {named} → {graph.labels[tail]}")
        if total > limit:
            echo(f"  … {total - limit:,} more (--limit)")
    _print_others(graph, others)


def _share(facts: list[Facts], limit: int) -> list[Facts]:
    """At most `limit` triples, distributed over the relations; with more relations than that, one triple of each of the
    first ones."""
    from kg.view import Facts

    shared, left = [], limit
    for place, one in enumerate(facts):
        taken = one.others[: min(left, max(1, left // (len(facts) - place)))]
        shared.append(Facts(one.relation, taken))
        left -= len(taken)
    return shared


@app.command()
def draw(
    store: StoreArgument,
    name: Annotated[str, typer.Argument(help="An entity's id, label or alias.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="A .png, .svg, .pdf, .html or .graphml file.")],
    hops: Annotated[int, typer.Option(min=1, max=3, help="Maximum distance from the entity.")] = 1,
    most: Annotated[
        int, typer.Option(min=1, max=200, help="Maximum number of neighbours of the entity.")
    ] = 24,
) -> None:
    """Draw an entity and its neighbourhood."""
    from kg.networkx_graph import write_graphml
    from kg.store import open_graph
    from kg.view import draw_ego, ego_triples, render_ego

    graph = open_graph(store)
    row, *others = _find(graph, name)
    warnings: list[str] = []
    match out.suffix.lower():
        case ".html":
            from kepipe.report.graph import entity_page
            from kepipe.report.markup import drawing as as_drawing
            from kepipe.report.page import render

            triples = ego_triples(graph, row, hops, most)
            drawing, warnings = render_ego(graph, row, triples)
            svg = as_drawing(drawing[drawing.index(b"<svg") :].decode())
            out.write_text(render(entity_page(graph, row, svg, len(triples))), encoding="utf-8")
        case ".graphml":
            write_graphml(graph, out, ego_triples(graph, row, hops, most))
        case ".png" | ".svg" | ".pdf":
            warnings = draw_ego(graph, row, out, hops, most)
        case _:
            raise ValueError(
                f"--out {out}: expected a name that ends with .png, .svg, .pdf, .html or .graphml"
            )
    for warning in warnings:
        echo(f"warning: {warning}", err=True)
    echo(f"wrote {out}: {graph.labels[row]} [{graph.ids[row]}]")
    _print_others(graph, others)


def _counts(graph: Graph) -> str:
    counts = graph.describe()
    names = {"entities": "entity", "relations": "relation", "triples": "triple", "aliases": "alias"}
    counted = {many: f"{counts[many]:,} {one if counts[many] == 1 else many}" for many, one in names.items()}
    if len(graph.splits) > 1:
        counted["triples"] += f" ({', '.join(f'{counts[part]:,} {part}' for part in graph.splits)})"
    return ", ".join(counted.values())


def _print_others(graph: Graph, others: list[int]) -> None:
    if others:
        names = (f"{graph.labels[other]} [{graph.ids[other]}]" for other in others[:_SHOWN])
        echo(f"{len(others):,} more entities with this name: {', '.join(names)}")


def _find(graph: Graph, name: str) -> list[int]:
    """Rows of the entities with a name, at least one. Raises ValueError with similar names."""
    from kg.search import find, suggest

    rows = find(graph, name)
    if rows:
        return rows
    near = suggest(graph, name) if name.strip() else []
    hint = f"; did you mean {', '.join(map(repr, near))}" if near else ""
    raise ValueError(f"no entity has the name {name!r} in {graph.folder}{hint}")
