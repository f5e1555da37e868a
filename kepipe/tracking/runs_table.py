"""A view of an experiment in MLflow's table of runs: beside each run the figures that decide.

MLflow's pages keep a view that was shared as a tag of the experiment, JSON of what the page shows, and open it where
the address has `viewStateShareKey`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

VIEW = "kepipe"
TAG = f"mlflow.sharedViewState.{VIEW}"
MOST = 12
"""Columns of figures."""
FINAL = {"pretrain": ("final_held_out_loss",), "finetune": ("test/", "dev/"), "evaluate": ("",)}
"""Kind of stage → how the names of its figures that decide begin, the first that there is. Of names with a `/` the
first that is logged of each group decides: the main figure of a task's split, or of each arm by the first probe."""


def deciding(logged: Mapping[str, Iterable[str]], kinds: Mapping[str, str]) -> list[str]:
    """Names of the columns, `STAGE/FIGURE`. `logged`: stage → names of its final figures, as they came; `kinds`: stage
    → kind of stage."""

    def of_stage(stage: str) -> Iterator[str]:
        names = list(logged[stage])
        for begins in FINAL.get(kinds[stage], ()):
            found = [name for name in names if name.startswith(begins) and (begins or "/" in name)]
            if found:
                groups = dict.fromkeys(name.partition("/")[0] for name in found)
                for group in groups:
                    yield f"{stage}/{next(name for name in found if name.partition('/')[0] == group)}"
                return

    return list(islice((name for stage in logged if stage in kinds for name in of_stage(stage)), MOST))


def view(columns: Iterable[str]) -> str:
    """The value of `TAG` by which runs are shown with these figures, the newest first."""
    selected = ["attributes.`Description`", *(f"metrics.`{name}`" for name in columns)]
    return json.dumps(
        {"orderByKey": "attributes.start_time", "orderByAsc": False, "selectedColumns": selected}
    )
