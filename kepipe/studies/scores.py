"""What was measured case by case, and what is told of it: means with intervals, and differences of arms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kepipe.arrays import Bools, Floats
from kepipe.studies.intervals import clustered_mean, paired_difference


@dataclass(frozen=True)
class Cases:
    """Metric → its value on each case, float [N]; `clusters_N`: the document of each case.

    Two arms are comparable where these are the same cases in the same order.
    """

    values: Mapping[str, Floats]
    clusters: npt.NDArray[Any]

    def only(self, chosen_N: Bools) -> Cases:
        """Some of the cases."""
        return Cases({name: v[chosen_N] for name, v in self.values.items()}, self.clusters[chosen_N])


def summarise(
    cases: Cases, seed: int, within: tuple[float, float] = (-np.inf, np.inf)
) -> dict[str, dict[str, Any]]:
    """Metric → `{value, low, high, cases, clusters}`."""
    return {
        name: clustered_mean(values_N, cases.clusters, np.random.default_rng(seed), within=within).as_json()
        for name, values_N in cases.values.items()
    }


def compare(first: Cases, second: Cases, seed: int) -> dict[str, dict[str, Any]]:
    """Metric → the paired difference first − second, `{value, low, high, cases, clusters}`."""
    return {
        name: paired_difference(
            values_N, second.values[name], first.clusters, np.random.default_rng(seed)
        ).as_json()
        for name, values_N in first.values.items()
    }
