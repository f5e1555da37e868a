"""A shared view of MLflow's runs that shows the main metrics as columns and as charts.

MLflow stores a shared view as JSON in a tag of the experiment and opens it with the URL parameter `viewStateShareKey`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

VIEW = "kepipe"
TAG = f"mlflow.sharedViewState.{VIEW}"
MAX_COLUMNS = 12
"""Maximum number of metric columns."""
SECTION = "Main metrics"
"""Heading of the view's charts."""
MAX_LENGTH = 5000
"""Maximum number of characters of a tag of an experiment."""
FINAL = {"pretrain": ("final_held_out_loss",), "finetune": ("test/", "dev/"), "evaluate": ("",)}
"""Kind of stage → prefixes of its main metrics; the first prefix with a match is used. Of names with a `/`, the first
logged one of each group is used: the main metric of a task's split, or of each arm by the first probe."""


def deciding_columns(logged: Mapping[str, Iterable[str]], kinds: Mapping[str, str]) -> list[str]:
    """Names of the columns, `STAGE/METRIC`. `logged`: stage → names of its final metrics, in the order of logging;
    `kinds`: stage → kind of stage."""

    def of_stage(stage: str) -> Iterator[str]:
        names = list(logged[stage])
        for prefix in FINAL.get(kinds[stage], ()):
            found = [name for name in names if name.startswith(prefix) and (prefix or "/" in name)]
            if found:
                groups = dict.fromkeys(name.partition("/")[0] for name in found)
                for group in groups:
                    yield f"{stage}/{next(name for name in found if name.partition('/')[0] == group)}"
                return

    return list(islice((name for stage in logged if stage in kinds for name in of_stage(stage)), MAX_COLUMNS))


def view(metrics: Sequence[str]) -> str:
    """The value of `TAG` for a view with these metrics, as columns, the newest runs first, and as bar charts over runs.

    The last metrics are left out where the value is longer than MLflow takes.
    """
    charts = [
        {"type": "BAR", "uuid": str(number), "metricKey": name, "metricSectionId": VIEW}
        for number, name in enumerate(metrics)
    ]
    values = {
        "orderByKey": "attributes.start_time",
        "orderByAsc": False,
        "selectedColumns": ["attributes.`Description`", *(f"metrics.`{name}`" for name in metrics)],
        "compareRunCharts": charts,
        "compareRunSections": [{"uuid": VIEW, "name": SECTION, "display": True}],
    }
    written = json.dumps(values)
    return written if len(written) <= MAX_LENGTH else view(metrics[:-1])
