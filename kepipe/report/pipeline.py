"""The report of one pipeline run, from the artifacts of its stages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kepipe.data.shards import open_shard
from kepipe.flow.artifact import Artifact
from kepipe.report import data, evaluation
from kepipe.report.page import Page
from kepipe.report.running import day, record, running
from kepipe.report.training import training
from kepipe.report.wording import Scores, explanation, verdict


def build(
    *,
    graph: Artifact,
    corpus: Artifact,
    linked: Artifact,
    shards: Artifact,
    vectors: Sequence[Artifact],
    arms: Sequence[Artifact],
    measured: Artifact,
    scores: Scores,
    title: str = "",
) -> Page:
    """The page. `measured` is the evaluation's folder, `scores` its `scores.json`."""
    stages = (graph, corpus, linked, shards, *vectors, *arms, measured)
    held_out = set(open_shard(Path(shards.folder) / "held_out").ids())
    sections = [
        evaluation.cloze(scores) if "entity_cloze" in scores["about"] else None,
        evaluation.examples(measured.folder, scores),
        evaluation.writing(scores) if "perplexity" in scores["about"] else None,
        evaluation.loss(scores) if "mlm_loss" in scores["about"] else None,
        training(arms),
        data.linking(linked.folder, graph.folder, held_out),
        *(data.vectors(made.folder) for made in vectors),
        data.data(graph.folder, corpus.folder, shards.folder),
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
