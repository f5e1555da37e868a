"""The report of one pipeline run, from the artifacts of its stages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kepipe.data.shards import open_shard
from kepipe.flow.artifact import Artifact
from kepipe.report import evaluation, knowledge
from kepipe.report.page import Page
from kepipe.report.running import day, record, running
from kepipe.report.training import training
from kepipe.report.wording import explanation, verdict
from kepipe.studies.scores import FILE, read_scores


def build(
    *,
    graph: Artifact,
    corpus: Artifact,
    linked: Artifact,
    shards: Artifact,
    vectors: Sequence[Artifact],
    arms: Sequence[Artifact],
    measured: Artifact,
    title: str = "",
) -> Page:
    """The page. `measured`: the evaluation, with its scores."""
    scores = read_scores(measured.folder / FILE)
    stages = (graph, corpus, linked, shards, *vectors, *arms, measured)
    held_out = set(open_shard(Path(shards.folder) / "held_out").ids())
    sections = [
        *evaluation.sections(scores, measured.folder),
        training(arms),
        knowledge.linking(linked.folder, graph.folder, held_out),
        *(knowledge.vectors(made.folder) for made in vectors),
        knowledge.data(graph.folder, corpus.folder, shards.folder),
        running(stages),
    ]
    name = title or str(record(measured).get("pipeline") or "pipeline")
    return Page(
        title=name,
        kicker=" · ".join(part for part in (name, day(stages)) if part),
        headline=verdict(scores),
        lead=explanation(scores),
        facts=evaluation.facts(scores),
        sections=tuple(section for section in sections if section is not None),
        footer=f"Made by kepipe from evaluation {measured.digest[:12]}.",
    )
