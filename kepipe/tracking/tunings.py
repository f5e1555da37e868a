"""A tuning in MLflow: one run however often it was interrupted, and under it a run for each trial."""

from __future__ import annotations

from collections.abc import Mapping

from kepipe.flow.events import RunStarted

TUNING, TRIAL = "tuning", "trial"
"""Tags of `RunStarted`: the tuning's name; the number of the trial, which the tuning's own run does not have."""
ITSELF = "(tuning)"


def identity(begun: RunStarted, stage: str) -> Mapping[str, str]:
    """The tags by which the MLflow run of a stage is found again, or that of the pipeline ("")."""
    if stage or TUNING not in begun.tags:
        return {"kepipe.run": begun.run, "kepipe.stage": stage or "(pipeline)"}
    if TRIAL not in begun.tags:
        return tuning_of(begun)
    return {**tuning_of(begun), "kepipe.trial": begun.tags[TRIAL], "kepipe.stage": "(pipeline)"}


def tuning_of(begun: RunStarted) -> Mapping[str, str]:
    """The tags by which the run of a tuning is found, from any of its runs."""
    return {"kepipe.tuning": begun.tags[TUNING], "kepipe.stage": ITSELF}


def is_trial(begun: RunStarted) -> bool:
    """Whether a run stands under that of a tuning."""
    return TRIAL in begun.tags


def name_of(begun: RunStarted) -> str:
    """What MLflow calls the run of a pipeline."""
    if is_trial(begun):
        return f"trial {begun.tags[TRIAL]}"
    if TUNING in begun.tags:
        return f"{begun.pipeline}, tuning {begun.tags[TUNING]}"
    return f"{begun.pipeline}, {begun.run}"
