"""A search by Optuna whose trials are kept in an SQLite file, so that a killed one continues.

Each trial's draw is a function of the seed and of the trials before it: a search that was killed tries the same
settings as one that ran through. What a killed process left undone is done first, with its settings and the values that
were heard of it. The file holds numbers and JSON; nothing is unpickled from it.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from kepipe.config import as_yaml
from kepipe.files import sqlite_address
from kepipe.tuning.ranges import Numbers, Range

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial
    from optuna.trial import Trial as OptunaTrial

Sampler = Literal["tpe", "random"]
FILE, NAME = "trials.db", "tuning"
ASSIGNED, WHY = "settings", "why"
"""Attributes of trials: the settings; why it failed or was pruned."""


@dataclass(frozen=True)
class Method:
    """How a search goes. Settings are drawn by TPE (Bergstra et al. 2011, section 4), or at random."""

    sampler: Sampler = "tpe"
    startup: int = 10
    """Trials that are drawn at random, and not pruned, before the search goes by them."""
    seed: int = 0
    prune_by: str | None = None
    """`STAGE/METRIC` that a stage logs as it works, by which a trial is stopped early; None: none is."""


Status = Literal["finished", "pruned", "failed"]


@dataclass(frozen=True)
class Trial:
    """A trial that is over. `settings`: key → value, as YAML writes it. `value`: what was measured; None where it did
    not finish, of which `why` tells."""

    number: int
    settings: Mapping[str, str]
    status: Status
    value: float | None = None
    why: str = ""


class RunningTrial:
    """A trial at work. End it by `finish`, `prune` or `fail`."""

    def __init__(self, search: Search, number: int, asked: OptunaTrial, settings: Mapping[str, str]) -> None:
        self.number, self.settings = number, settings
        self._search, self._asked = search, asked

    def report(self, value: float, step: int) -> bool:
        """Hear a value that is measured while it works; returns whether it is worse than the median of those before it
        at this step (Optuna's median pruner), so that it may be stopped."""
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # a step that is reported twice after a resume keeps its first value
            self._asked.report(value, step)
        return bool(self._asked.should_prune())

    def finish(self, value: float) -> None:
        """It is done, and this is what it reached."""
        self._search.study.tell(self._asked, value)

    def prune(self, why: str) -> None:
        """It was stopped early."""
        from optuna.trial import TrialState

        self._asked.set_user_attr(WHY, why)
        self._search.study.tell(self._asked, state=TrialState.PRUNED)

    def fail(self, why: str) -> None:
        """It could not be done."""
        from optuna.trial import TrialState

        self._asked.set_user_attr(WHY, why)
        self._search.study.tell(self._asked, state=TrialState.FAIL)


class Search:
    """Trials over ranges. Use by one process at a time."""

    def __init__(self, folder: Path, ranges: Sequence[Range], higher: bool, method: Method) -> None:
        """The search kept in `folder`, or a new one. `higher`: whether higher values are better."""
        self._ranges, self._method = ranges, method
        self.file = (folder / FILE).resolve()
        self._direction: Literal["maximize", "minimize"] = "maximize" if higher else "minimize"
        self.study = self._open(0)

    def ended(self) -> list[Trial]:
        """The trials that are over, in their order."""
        return [_trial(number, each) for number, each in enumerate(self._counted())]

    def best(self) -> Trial | None:
        """The trial with the best value, of equal ones the first; None where none finished."""
        done = [trial for trial in self.ended() if trial.value is not None]
        sign = -1.0 if self._direction == "maximize" else 1.0
        return min(done, key=lambda trial: (sign * (trial.value or 0.0), trial.number), default=None)

    def next(self) -> RunningTrial:
        """The trial that a killed process left undone, or a new one."""
        number = len(self._counted())
        self.study = self._open(number)
        left = self._take_over()
        distributions = {each.key: _distribution(each) for each in self._ranges}
        if left is not None:
            self.study.enqueue_trial(left.params)
        asked = self.study.ask(distributions)
        trial = RunningTrial(self, number, asked, self._settings(asked))
        asked.set_user_attr(ASSIGNED, dict(trial.settings))
        for step, value in sorted(left.intermediate_values.items()) if left is not None else ():
            trial.report(value, step)
        return trial

    def _open(self, number: int) -> Study:
        """Optuna's study, to draw the trial of this number."""
        import optuna
        from optuna.pruners import MedianPruner

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        return optuna.create_study(
            storage=sqlite_address(self.file),
            study_name=NAME,
            direction=self._direction,
            sampler=self._sampler(number),
            pruner=MedianPruner(n_startup_trials=self._method.startup),
            load_if_exists=True,
        )

    def _sampler(self, number: int) -> BaseSampler:
        from optuna.samplers import RandomSampler, TPESampler

        seed = self._method.seed * 1_000_003 + number
        if self._method.sampler == "random":
            return RandomSampler(seed=seed)
        return TPESampler(seed=seed, n_startup_trials=self._method.startup)

    def _take_over(self) -> FrozenTrial | None:
        """End what a killed process left at work; returns it, where its settings had all been drawn."""
        from optuna.trial import TrialState

        interrupted = [
            trial for trial in self.study.get_trials(deepcopy=False) if trial.state == TrialState.RUNNING
        ]
        for trial in interrupted:
            self.study.tell(trial.number, state=TrialState.FAIL)
        assigned = [trial for trial in interrupted if ASSIGNED in trial.user_attrs]
        return assigned[-1] if assigned else None

    def _counted(self) -> list[FrozenTrial]:
        """Trials that are over, without those that were taken over."""
        from optuna.trial import TrialState

        over = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
        return [
            trial
            for trial in self.study.get_trials(deepcopy=False)
            if trial.state in over and (trial.state != TrialState.FAIL or WHY in trial.user_attrs)
        ]

    def _settings(self, asked: OptunaTrial) -> dict[str, str]:
        """What was drawn, as it is set."""
        return {
            each.key: as_yaml(each.rounded(asked.params[each.key]))
            if isinstance(each, Numbers)
            else str(asked.params[each.key])
            for each in self._ranges
        }


def _distribution(given: Range) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if not isinstance(given, Numbers):
        return CategoricalDistribution(given.values)
    if given.integer:
        step = 1 if given.step is None else int(given.step)
        return IntDistribution(int(given.low), int(given.high), log=given.log, step=step)
    return FloatDistribution(given.low, given.high, log=given.log, step=given.step)


def _trial(number: int, found: FrozenTrial) -> Trial:
    status: Mapping[str, Status] = {"COMPLETE": "finished", "PRUNED": "pruned", "FAIL": "failed"}
    return Trial(
        number,
        found.user_attrs[ASSIGNED],
        status[found.state.name],
        found.value if found.state.name == "COMPLETE" else None,
        found.user_attrs.get(WHY, ""),
    )
