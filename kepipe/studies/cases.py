"""Metrics measured case by case: means with intervals, and paired differences of arms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kepipe.arrays import Bools, Floats
from kepipe.studies.intervals import Estimate, clustered_mean, paired_difference


@dataclass(frozen=True)
class Cases:
    """Metric → its value on each case, float [N]; `clusters_N`: the document of each case.

    Two arms are comparable if these are the same cases in the same order.
    """

    values: Mapping[str, Floats]
    clusters: npt.NDArray[Any]

    def only(self, chosen_N: Bools) -> Cases:
        """The selected cases."""
        return Cases({name: v[chosen_N] for name, v in self.values.items()}, self.clusters[chosen_N])


def summarise(
    cases: Cases, seed: int, within: tuple[float, float] = (-np.inf, np.inf)
) -> dict[str, Estimate]:
    """Metric → its mean over the cases; `within`: bounds of the metric."""
    return {
        name: clustered_mean(values_N, cases.clusters, np.random.default_rng(seed), within=within)
        for name, values_N in cases.values.items()
    }


def compare(first: Cases, second: Cases, seed: int) -> dict[str, Estimate]:
    """Metric → the paired difference first − second."""
    return {
        name: paired_difference(values_N, second.values[name], first.clusters, np.random.default_rng(seed))
        for name, values_N in first.values.items()
    }
