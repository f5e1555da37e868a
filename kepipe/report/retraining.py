"""The page of a retraining: new data, coverage of the text by the graph, and forgetting."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kepipe.report.page import Block, Fact, Page, Section, Table, Text
from kepipe.report.wording import between, plain, signed
from kepipe.studies.design import better_by_name

if TYPE_CHECKING:
    from kepipe.data.document import Document
    from kepipe.studies.intervals import Estimate

NAMED = 50
"""Maximum number of new documents and entities that the page lists by name; the others are counted."""


@dataclass(frozen=True)
class Coverage:
    """Linking coverage of a text: numbers of documents, words, mentions and distinct entities; `silent`: documents
    without mentions."""

    documents: int
    words: int
    mentions: int
    entities: int
    silent: int


@dataclass(frozen=True)
class Retraining:
    """`counts`: new, changed and removed items, and totals. `entities`: labels of new entities; `documents`: ids of new
    documents. `coverage`: name of a text → its coverage. `before`: `probe/metric` → value of the earlier model on the
    cases of its own evaluation; `old`: paired differences new − before; `why`: why some are missing."""

    counts: Mapping[str, int]
    entities: Sequence[str]
    documents: Sequence[str]
    coverage: Mapping[str, Coverage]
    before: Mapping[str, float]
    old: Mapping[str, Estimate]
    why: str


def coverage_of(documents: Iterable[Document]) -> Coverage:
    """The coverage of linked documents."""
    found, words, mentions, silent, count = set[str](), 0, 0, 0, 0
    for document in documents:
        count += 1
        words += len(document.text.split())
        mentions += len(document.mentions)
        silent += not document.mentions
        found.update(mention.entity for mention in document.mentions)
    return Coverage(count, words, mentions, len(found), silent)


def retraining_page(found: Retraining, name: str) -> Page:
    """The page."""
    counts = found.counts
    return Page(
        title=f"{name}: retraining",
        kicker="Retraining",
        headline=f"{_new(counts)}; {_forgotten(found)}",
        facts=(
            Fact("new documents", f"{counts['new_documents']:,}", f"of {counts['documents']:,}"),
            Fact("new entities", _count(counts, "new_entities"), f"of {counts['entities']:,}"),
            Fact("new triples", _count(counts, "new_triples")),
            Fact("new names", _count(counts, "new_aliases")),
        ),
        sections=(
            Section("new", "What is new", _news(found)),
            Section("coverage", "Linking coverage", (_coverage(found.coverage),)),
            Section("forgotten", "On the earlier evaluation", _old(found)),
        ),
    )


def _new(counts: Mapping[str, int]) -> str:
    text = f"{counts['new_documents']:,} documents are new"
    text += f", {counts['changed_documents']:,} of them changed" if counts["changed_documents"] else ""
    text += f", {counts['gone_documents']:,} were removed" if counts["gone_documents"] else ""
    if "new_entities" in counts:
        text += f"; {counts['new_entities']:,} entities, {counts['new_triples']:,} triples and "
        text += f"{counts['new_aliases']:,} names are new"
    return text


def losses(found: Retraining) -> list[str]:
    """Metrics by which the new model is worse on the earlier cases, with the whole interval on that side."""
    worse = []
    for name, each in found.old.items():
        sign = 1 if better_by_name(name) == "higher" else -1
        if each.excludes_zero and sign * each.value < 0:
            worse.append(name)
    return worse


def _forgotten(found: Retraining) -> str:
    if not found.old:
        return f"forgetting was not measured: {found.why}"
    worse = losses(found)
    if not worse:
        return "it is not worse on the earlier evaluation"
    more = f" and {len(worse) - 3} more" if len(worse) > 3 else ""
    return f"it is worse on the earlier evaluation by {', '.join(worse[:3])}{more}"


def _count(counts: Mapping[str, int], name: str) -> str:
    return f"{counts[name]:,}" if name in counts else "not known"


def _news(found: Retraining) -> tuple[Block, ...]:
    rows = tuple((name.replace("_", " "), f"{number:,}") for name, number in found.counts.items())
    blocks: list[Block] = [Table(("", "Number"), rows, numbers=(1,))]
    for what, names in (("New documents", found.documents), ("New entities", found.entities)):
        if names:
            more = f", and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
            blocks.append(Text(f"{what}: {', '.join(names[:NAMED])}{more}."))
    return tuple(blocks)


def _coverage(coverage: Mapping[str, Coverage]) -> Table:
    rows = tuple(
        (
            of, f"{each.documents:,}", f"{each.words:,}", f"{each.mentions:,}",
            plain(1000 * each.mentions / each.words) if each.words else "", f"{each.entities:,}", f"{each.silent:,}",
        )
        for of, each in coverage.items()
    )  # fmt: skip
    head = (
        "",
        "documents",
        "words",
        "mentions",
        "per thousand words",
        "entities named",
        "documents without mentions",
    )
    return Table(head, rows, numbers=(1, 2, 3, 4, 5, 6))


def _old(found: Retraining) -> tuple[Block, ...]:
    if not found.old:
        return (Text(f"Not measured: {found.why}."),)
    rows = tuple(
        (
            name,
            plain(found.before[name]),
            plain(found.before[name] + each.value),
            signed(each.value),
            between(each, True),
        )
        for name, each in sorted(found.old.items())
    )
    basis = "Both models are evaluated on the cases of the earlier model: its held-out text, and its graph's facts."
    blocks: list[Block] = [Text(basis)]
    if found.why:
        blocks.append(Text(f"Some probes are not paired: {found.why}.", quiet=True))
    blocks.append(Table(("", "before", "now", "difference", "95% interval"), rows, numbers=(1, 2, 3)))
    return tuple(blocks)
