"""A tuning in MLflow: one run, even after interruptions, with a nested run for each trial."""

from __future__ import annotations

from collections.abc import Mapping

from kepipe.flow.events import RunStarted

TUNING, TRIAL = "tuning", "trial"
"""Tags of `RunStarted`: the tuning's name, and the trial's number, which the tuning's own run does not have."""
ITSELF = "(tuning)"


def identity(begun: RunStarted, stage: str) -> Mapping[str, str]:
    """The tags that identify the MLflow run of a stage, or of the pipeline ("")."""
    if stage or TUNING not in begun.tags:
        return {"kepipe.run": begun.run, "kepipe.stage": stage or "(pipeline)"}
    if TRIAL not in begun.tags:
        return tuning_of(begun)
    return {**tuning_of(begun), "kepipe.trial": begun.tags[TRIAL], "kepipe.stage": "(pipeline)"}


def tuning_of(begun: RunStarted) -> Mapping[str, str]:
    """The tags that identify the run of a tuning, given any of its runs."""
    return {"kepipe.tuning": begun.tags[TUNING], "kepipe.stage": ITSELF}


def is_trial(begun: RunStarted) -> bool:
    """Whether a run is a trial of a tuning."""
    return TRIAL in begun.tags


def name_of(begun: RunStarted) -> str:
    """The MLflow name of a pipeline's run."""
    if is_trial(begun):
        return f"trial {begun.tags[TRIAL]}"
    if TUNING in begun.tags:
        return f"{begun.pipeline}, tuning {begun.tags[TUNING]}"
    return f"{begun.pipeline}, {begun.run}"
