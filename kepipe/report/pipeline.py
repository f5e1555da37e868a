"""The report of one pipeline run, from the artifacts of its stages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from kepipe.data.shards import open_shard
from kepipe.flow.artifact import Artifact
from kepipe.report import data, evaluation, fine_tuned
from kepipe.report.page import Page
from kepipe.report.running import day, record, running
from kepipe.report.training import training
from kepipe.report.wording import explanation, verdict
from kepipe.studies.scores import FILE, read_scores


class RunArtifacts(Protocol):
    """The results of a run's stages; `arms` are the evaluated models, `tuned` the fine-tuned ones."""

    @property
    def graph(self) -> Artifact: ...
    @property
    def corpus(self) -> Artifact: ...
    @property
    def linked(self) -> Artifact: ...
    @property
    def shards(self) -> Artifact: ...
    @property
    def vectors(self) -> Sequence[Artifact]: ...
    @property
    def arms(self) -> Sequence[Artifact]: ...
    @property
    def tuned(self) -> Sequence[Artifact]: ...
    @property
    def evaluation(self) -> Artifact: ...


def build(run: RunArtifacts, title: str = "") -> Page:
    """The page of a run."""
    graph, corpus, shards, evaluated = run.graph.folder, run.corpus.folder, run.shards.folder, run.evaluation
    scores = read_scores(evaluated.folder / FILE)
    stages = (run.graph, run.corpus, run.linked, run.shards, *run.vectors, *run.arms, evaluated, *run.tuned)
    held_out = set(open_shard(shards / "held_out").ids())
    sections = [
        *evaluation.sections(scores, evaluated.folder),
        *fine_tuned.task_sections(run.tuned),
        training(run.arms),
        data.linking(run.linked.folder, graph, held_out),
        *(data.vectors(vectors.folder) for vectors in run.vectors),
        data.data(graph, corpus, shards),
        running(stages),
    ]
    name = title or str(record(evaluated).get("pipeline") or "pipeline")
    return Page(
        title=name,
        kicker=" · ".join(part for part in (name, day(stages)) if part),
        headline=verdict(scores),
        lead=explanation(scores),
        facts=evaluation.facts(scores),
        sections=tuple(section for section in sections if section is not None),
        footer=f"Made by kepipe from evaluation {evaluated.digest[:12]}.",
    )
