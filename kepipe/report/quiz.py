"""The page of `kepipe quiz`: accuracy of models on a graph's facts, best and worst relations, examples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kepipe.probes.graph_quiz.presentation import NAME, PRESENTATION
from kepipe.report.evaluation import facts, section
from kepipe.report.page import Page, Section, Table
from kepipe.report.wording import cell, plain
from kepipe.studies.scores import Scores

Records = Sequence[Mapping[str, Any]]
"""The lines of `quiz.jsonl`."""
SHOWN = 5
"""Relations and examples at each end."""


def quiz_page(graph: str, scores: Scores, records: Records, *, short: bool = False) -> Page:
    """The page. `short`: without the table of all relations."""
    details, arms = scores.details[NAME], list(scores.arms)
    known = ", ".join(f"{arm} {plain(scores.arms[arm][NAME]['accuracy'].value)}" for arm in arms)
    usual = plain(scores.baselines[NAME]["most_frequent"]["accuracy"].value)
    sections = [
        section(NAME, PRESENTATION, scores, groups=not short),
        Section("relations", "Best and worst relations", tuple(_relations(scores))),
        Section("examples", "Examples", tuple(_examples(records, arms))),
    ]
    return Page(
        title=f"{graph}: graph quiz",
        kicker="Graph quiz",
        headline=f"Accuracy: {known}; the most frequent object {usual}",
        lead=f"{graph}: {details['questions']:,} facts about {details['subjects']:,} entities, "
        f"{details['options']:g} options each. {_given(arms, details.get('mentions_given', {}))}",
        facts=facts(scores),
        sections=tuple(sections),
    )


def _given(arms: Sequence[str], given: Mapping[str, Mapping[str, int]]) -> str:
    """Which arms are given knowledge about the subject."""
    counts = [f"{arm} ({of['known']:,} of {of['given']:,} mentions known)" for arm, of in given.items()]
    alone = [arm for arm in arms if arm not in given]
    parts = [f"With knowledge: {', '.join(counts)}."] if counts else []
    return " ".join([*parts, f"Without knowledge: {', '.join(alone)}."] if alone else parts)


def _relations(scores: Scores) -> Iterator[Table]:
    """For each arm, the relations with the highest and lowest accuracy, compared with the most frequent object."""
    about, usual = scores.details[NAME]["relations"], scores.baselines[NAME]["most_frequent"]
    for arm, measured in scores.arms.items():
        figures = {id: measured[NAME][f"by_relation/{id}/accuracy"] for id in about}
        order = sorted(about, key=lambda id: (-figures[id].value, id))
        ends = order if len(order) <= 2 * SHOWN else [*order[:SHOWN], *order[-SHOWN:]]
        rows = tuple(
            (
                about[id]["label"], about[id]["template"], about[id]["questions"], about[id]["options"],
                cell(figures[id]), plain(usual[f"by_relation/{id}/accuracy"].value),
            )
            for id in ends
        )  # fmt: skip
        head = ("Relation", "Asked as", "Questions", "Options", f"Accuracy, {arm}", "Most frequent")
        yield Table(head, rows, f"{arm}: relations with the highest and the lowest accuracy", (2, 3, 4, 5))


def _examples(records: Records, arms: Sequence[str]) -> Iterator[Table]:
    """For each arm, the best and worst ranked facts, held-out facts first, one per relation."""
    for arm in arms:
        best = sorted(records, key=lambda line: (line["ranks"][arm], line["stated"]))
        worst = sorted(records, key=lambda line: (-line["ranks"][arm], line["stated"]))
        lines = [*_each_relation_once(best), *_each_relation_once(worst)]
        rows = tuple(
            (
                f"{line['before']}▢{line['after']}", line["label"], line["chosen"][arm],
                f"{line['ranks'][arm]:g} of {line['candidates']}", "stated" if line["stated"] else "held out",
            )
            for line in lines
        )  # fmt: skip
        head = ("Sentence", "True", f"Answer of {arm}", "Rank of the true object", "Fact")
        yield Table(head, rows, f"{arm}: best and worst ranks", (3,))


def _each_relation_once(records: Records) -> Iterator[Mapping[str, Any]]:
    """The first records, one per relation."""
    seen: set[str] = set()
    for line in records:
        if len(seen) == SHOWN:
            return
        if line["relation"] not in seen:
            seen.add(line["relation"])
            yield line
