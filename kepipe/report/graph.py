"""Pages about a graph: its statistics, and the neighbourhood of an entity."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from kepipe.report.charts import bars
from kepipe.report.markup import Markup
from kepipe.report.page import Block, Fact, Figure, Page, Section, Table, Text
from kg.schema import Entity
from kg.statistics import Statistics
from kg.store import Graph
from kg.validation import Finding
from kg.view import Facts, facts_of

_RELATIONS_SHOWN = 100
_NAMES_SHOWN = 30
"""Maximum number of entities listed per relation on an entity's page."""
LONGEST_NAME, LONGEST_DESCRIPTION = 80, 140
"""Maximum number of characters of a name used as a heading, and of a description next to a name; longer ones are shown
in full in the page's second line."""
_KINDS = {
    "1-1": "one head, one tail",
    "1-N": "one head, many tails",
    "N-1": "many heads, one tail",
    "N-N": "many heads, many tails",
}


def statistics_page(graph: Graph, figures: Statistics, findings: Sequence[Finding], name: str) -> Page:
    """The page of `kepipe graph describe --html`."""
    counts = figures.counts
    largest = figures.components[0] / counts["entities"] if figures.components else 0.0
    return Page(
        title=name,
        kicker="Knowledge graph",
        headline=f"{name}: {_count(counts['entities'], 'entity', 'entities')} in {_count(counts['triples'], 'triple')}",
        lead=f"{_count(counts['relations'], 'relation')}, {_count(counts['types'], 'type')}, "
        f"{_count(counts['aliases'], 'alias', 'aliases')}.",
        facts=(
            Fact("triples per entity", f"{figures.degree_mean:.1f}", f"median {figures.degree_median:.0f}"),
            Fact("most triples", f"{figures.degree_max:,}", _label(graph, figures.hubs)),
            Fact("connected parts", f"{len(figures.components):,}", f"the largest holds {largest:.1%}"),
            Fact(
                "train · valid · test", " · ".join(f"{counts[part]:,}" for part in ("train", "valid", "test"))
            ),
        ),
        sections=(
            Section("degrees", "Degrees", _degrees(graph, figures)),
            Section("relations", "Relations", _relations(graph, figures)),
            Section("names", "Ambiguous names", _names(graph, figures)),
            Section("findings", "Findings", _findings(findings)),
        ),
        footer=f"digest {graph.digest}",
    )


def entity_page(graph: Graph, row: int, svg: Markup, drawn: int) -> Page:
    """The page of `kepipe graph draw --out X.html`: a drawing of an entity's neighbourhood, and its triples.

    `drawn`: number of triples in the drawing.
    """
    entity = graph.entity(row)
    away, to = facts_of(graph, row)
    name, lead_parts = _short(entity.label, LONGEST_NAME), []
    fits = len(entity.description) <= LONGEST_DESCRIPTION
    if name != entity.label:
        lead_parts.append(entity.label)
    if not fits:
        lead_parts.append(entity.description)
    if entity.aliases:
        also = ", ".join(_short(alias, LONGEST_NAME) for alias in entity.aliases[:20])
        lead_parts.append(f"Also called {also}.")
    return Page(
        title=name,
        kicker=" · ".join([entity.id, *entity.types]),
        headline=f"{name}: {entity.description}" if entity.description and fits else name,
        lead=" ".join(lead_parts),
        sections=(
            Section("around", "Surroundings", _surroundings(svg, drawn)),
            Section(
                "facts",
                "Facts",
                (_facts(graph, away, f"{name} → …"), _facts(graph, to, f"… → {name}")),
            ),
        ),
        footer=f"graph {graph.digest}",
    )


def _surroundings(svg: Markup, drawn: int) -> tuple[Block, ...]:
    if not drawn:
        return (Text("No triples."),)
    caption = "Arrows point from head to tail. Each neighbour is shown once; neighbours are taken from each relation "
    return (Figure(svg, f"{caption}in turn, those with the highest prior first.", wide=True),)


def _degrees(graph: Graph, figures: Statistics) -> tuple[Block, ...]:
    steps = {
        f"{low:,}" if low == high else f"{low:,}–{high:,}": float(count)
        for low, high, count in figures.degree_counts
    }
    hubs = tuple((_name(graph.entity(row)), f"{degree:,}") for row, degree in figures.hubs)
    return (
        Figure(bars(steps, "entities"), "Entities by their number of triples."),
        Table(("entity", "triples"), hubs, "The entities with the most triples.", numbers=(1,)),
    )


def _relations(graph: Graph, figures: Statistics) -> tuple[Block, ...]:
    kinds = Counter(relation.cardinality for relation in figures.relations)
    triples: Counter[str] = Counter()
    for relation in figures.relations:
        triples[relation.cardinality] += relation.triples
    rows = tuple(
        (
            graph.relation(one.relation).label, one.cardinality, f"{one.triples:,}",
            f"{one.tails_per_head:.2f}", f"{one.heads_per_tail:.2f}", f"{one.loops:,}" if one.loops else "",
        )
        for one in figures.relations[:_RELATIONS_SHOWN]
    )  # fmt: skip
    few = len(rows) < len(figures.relations)
    caption = (
        f"The {len(rows)} most frequent of {len(figures.relations):,} relations." if few else "All relations."
    )
    head = ("relation", "kind", "triples", "tails per head", "heads per tail", "loops")
    return (
        Table(
            ("kind", "", "relations", "triples"),
            tuple((kind, about, kinds[kind], f"{triples[kind]:,}") for kind, about in _KINDS.items()),
            "Kinds of relations. “Many”: 1.5 or more on average.",
            numbers=(2, 3),
        ),
        Table(head, rows, f"{caption} A loop is a triple whose head is its tail.", (2, 3, 4, 5)),
    )


def _names(graph: Graph, figures: Statistics) -> tuple[Block, ...]:
    if not figures.ambiguous:
        return (Text("No two entities share a name."),)
    rows = tuple(
        (one.name, f"{one.entities:,}", "; ".join(_name(graph.entity(row)) for row in one.rows))
        for one in figures.ambiguous
    )
    return (Table(("name", "entities", "likeliest"), rows, numbers=(1,)),)


def _findings(findings: Sequence[Finding]) -> tuple[Block, ...]:
    if not findings:
        return (Text("None."),)
    rows = tuple((one.level, one.what, f"{one.count:,}", ", ".join(one.examples)) for one in findings)
    return (Table(("", "what", "how often", "for example"), rows, numbers=(2,)),)


def _facts(graph: Graph, facts: Sequence[Facts], direction: str) -> Block:
    if not facts:
        return Text(f"{direction}: no triple.", quiet=True)
    rows = tuple(
        (graph.relation(one.relation).label, f"{len(one.others):,}", _named(graph, one.others))
        for one in facts
    )
    total = sum(len(one.others) for one in facts)
    return Table(
        ("relation", "triples", "which"), rows, f"{direction} ({_count(total, 'triple')})", numbers=(1,)
    )


def _named(graph: Graph, rows: Sequence[int]) -> str:
    shown = "; ".join(_short(graph.labels[row], LONGEST_NAME) for row in rows[:_NAMES_SHOWN])
    return f"{shown}; and {len(rows) - _NAMES_SHOWN:,} more" if len(rows) > _NAMES_SHOWN else shown


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def _name(entity: Entity) -> str:
    name = _short(entity.label, LONGEST_NAME)
    return f"{name} ({_short(entity.description, LONGEST_DESCRIPTION)})" if entity.description else name


def _short(text: str, longest: int) -> str:
    """The beginning of a text that is too long, cut at the end of a word if it has several."""
    if len(text) <= longest:
        return text
    begun, blank, _ = text[:longest].rpartition(" ")
    return f"{begun if blank and len(begun) > longest // 2 else text[:longest]} …"


def _label(graph: Graph, hubs: Sequence[tuple[int, int]]) -> str:
    return _short(graph.labels[hubs[0][0]], LONGEST_NAME) if hubs else ""
