"""Stage `retraining-report`: new data of a retrained model, change of coverage, and forgetting."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kepipe.config import Section
from kepipe.flow.stage import Stage, StageContext
from kepipe.stages.artifacts import Evaluation, Graph, Linked, Model, Report
from kepipe.stages.made_of import made_of, workspace_of

if TYPE_CHECKING:
    from kepipe.report.retraining import Retraining
    from kepipe.tracking.conditions.base import PairedEvaluation


class RetrainingReportConfig(Section):
    """Settings of the page."""

    title: str = ""
    """Title of the page; empty: the new model's stage."""


@dataclass(frozen=True)
class RetrainingReportInputs:
    """The current graph and linked text; the model that training continued from, the new model, and an evaluation of
    the new model."""

    graph: Graph
    linked: Linked
    start: Model
    model: Model
    evaluation: Evaluation


def retraining_report(
    inputs: RetrainingReportInputs, config: RetrainingReportConfig, context: StageContext
) -> None:
    """Write `retraining.json` and `report.html`. All text is new if the model's training text is unknown."""
    from kepipe.report.page import render
    from kepipe.report.retraining import retraining_page

    with context.progress("drawing the page"):
        found = _retraining(inputs, context)
        page = retraining_page(found, config.title or inputs.model.name)
        (context.out / "report.html").write_text(render(page), encoding="utf-8")
        (context.out / "retraining.json").write_text(json.dumps(asdict(found), indent=1, ensure_ascii=False))
    context.log({**found.counts, **{f"forgotten/{name}": each.value for name, each in found.old.items()}})
    context.note(page.headline)


def _retraining(inputs: RetrainingReportInputs, context: StageContext) -> Retraining:
    from kepipe.data.document_files import read_documents
    from kepipe.data.text_changes import text_changes
    from kepipe.report.retraining import Retraining, coverage_of
    from kg.changes import graph_changes
    from kg.store import open_graph

    before = made_of(inputs.start, "shards", "link")
    graph_before = made_of(inputs.start, "shards", "graph")
    now = list(read_documents(inputs.linked.folder / "documents.jsonl"))
    then = [] if before is None else list(read_documents(before.folder / "documents.jsonl"))
    changes = text_changes({each.id: each.text for each in then}, [(each.id, each.text) for each in now])
    new, old_texts = set(changes.new), {each.text for each in then}
    graph = open_graph(inputs.graph.folder)
    counts = {"documents": len(now), "new_documents": len(new), "changed_documents": len(changes.changed),
              "gone_documents": len(changes.gone), "entities": len(graph)}  # fmt: skip
    named: list[str] = []
    if graph_before is not None:
        grown = graph_changes(open_graph(graph_before.folder), graph)
        counts |= {"new_entities": len(grown.new_entities), "gone_entities": len(grown.gone_entities),
                   "new_triples": grown.new_triples, "gone_triples": grown.gone_triples,
                   "new_aliases": grown.new_aliases, "gone_aliases": grown.gone_aliases}  # fmt: skip
        named = [graph.labels[row] for row in grown.new_entities.tolist()]
    kept = {each.text for each in now}
    coverage = {
        "old text, before": coverage_of(each for each in then if each.text in kept),
        "old text, now": coverage_of(each for each in now if each.text in old_texts),
        "new text": coverage_of(now[place] for place in changes.new),
    }
    pair, why = _evaluate_on_old_questions(inputs)
    if pair is None and before is not None:
        context.warn(f"forgetting was not measured: {why}")
    return Retraining(
        counts, named, [now[place].id for place in changes.new], coverage,
        {} if pair is None else pair.champion, {} if pair is None else pair.differences,
        why or (pair.unpaired if pair is not None else ""),
    )  # fmt: skip


def _evaluate_on_old_questions(inputs: RetrainingReportInputs) -> tuple[PairedEvaluation | None, str]:
    """Both models evaluated on the questions of the earlier model's evaluation; or None and the reason."""
    from kepipe.flow.lineage import by_digest
    from kepipe.stages.champion import evaluate_pair

    made = [each for each in by_digest(workspace_of(inputs.start)).values() if each.kind == "evaluate"]
    asked = [
        each
        for each in made
        if inputs.start.digest in dict(each.inputs()).values() and each.digest != inputs.evaluation.digest
    ]
    if made_of(inputs.start, "shards", "link") is None:
        return None, f"the training text of `{inputs.start.name}` is unknown"
    if not asked:
        return None, f"no evaluation of `{inputs.start.name}` on its own text is in the store"
    first = min(asked, key=lambda each: float(each.record.get("started", 0.0)))
    found = evaluate_pair(Path(inputs.start.folder), Path(inputs.model.folder), first.folder)
    return found, "" if found is not None else "the questions cannot be repeated"


RETRAINING_REPORT = Stage(
    "retraining-report", 1, RetrainingReportInputs, RetrainingReportConfig, Report, retraining_report
)
