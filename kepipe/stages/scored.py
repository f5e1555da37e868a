"""Scores of a model, from an evaluation or from its own fine-tuning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kepipe.flow.artifact import Artifact, hash_json, read_manifest
from kepipe.probes.table import rows
from kepipe.stages.artifacts import Evaluation, FineTuned, Model
from kepipe.studies.design import Better, better_by_name
from kepipe.studies.scores import Metrics, all_values, single_values


@dataclass(frozen=True)
class ModelScores:
    """`source`: the artifact with the scores. `measured`: split or probe → metric → value. `deciding`: the default
    deciding metric and its direction. `data`: identifies the data they were measured on."""

    source: Artifact
    measured: Mapping[str, Metrics]
    deciding: tuple[str, Better]
    data: str

    def main(self) -> dict[str, float]:
        """`split/metric` or `probe/metric` → value, without values by group."""
        return single_values(self.measured)

    def all(self) -> dict[str, float]:
        """`split/metric` or `probe/metric` → value, with values by group."""
        return all_values(self.measured)


def scores_of(model: Model, evaluation: Evaluation | None) -> ModelScores:
    """The scores of a model. Raises ValueError if the evaluation has none."""
    if evaluation is None:
        return _own(FineTuned(model.folder, model.digest, model.maker, model.name))
    arms = evaluation.scores().arms
    if model.name not in arms:
        raise ValueError(f"the evaluation has no scores of `{model.name}`; it has those of {', '.join(arms)}")
    measured = arms[model.name]
    shown = {probe: row.presentation for probe, row in rows() if probe in measured}
    deciding = next(
        (
            (f"{probe}/{each.deciding}", each.better)
            for probe, each in shown.items()
            if each.deciding in measured[probe]
        ),
        None,
    )
    if deciding is None:
        raise ValueError(f"the evaluation has no probe for `{model.name}`, so there is no deciding metric")
    return ModelScores(evaluation, measured, deciding, str(evaluation.folder))


def _own(model: FineTuned) -> ModelScores:
    """Scores of a fine-tuned model; the deciding metric is its task's main one, on `test` if available, otherwise
    `dev`."""
    from kepipe.finetuning.fine_tuned import read_spec

    measured = model.scores()
    split = "test" if "test" in measured else "dev"
    metric = read_spec(model.folder).row.choose_by
    parts = read_manifest(model.folder)["cache_key_inputs"]
    files = {name: digest for name, digest in parts["sources"].items() if name.startswith("data/")}
    data = [files, parts["inputs"].get("data"), parts["config"].get("data")]
    return ModelScores(model, measured, (f"{split}/{metric}", better_by_name(metric)), hash_json(data))
