from __future__ import annotations

import json

from kepipe.tracking.runs_table import MAX_COLUMNS, MAX_LENGTH, deciding_columns, view


def test_runs_table_shows_the_main_metric_of_each_stage() -> None:
    logged = {
        "link": ["mentions"],
        "mlm": ["parameters", "final_held_out_loss", "best_held_out_loss"],
        "tag": ["dev/span_f1", "test/span_f1", "test/span_recall", "seconds"],
        "typed": ["dev/micro_f1"],
        "evaluate": ["mlm/entity_cloze/mrr", "mlm/mlm_loss/tokens", "text/entity_cloze/mrr", "seconds"],
    }
    kinds = {
        "link": "link",
        "mlm": "pretrain",
        "tag": "finetune",
        "typed": "finetune",
        "evaluate": "evaluate",
    }
    assert deciding_columns(logged, kinds) == [
        "mlm/final_held_out_loss",
        "tag/test/span_f1",
        "typed/dev/micro_f1",
        "evaluate/mlm/entity_cloze/mrr",
        "evaluate/text/entity_cloze/mrr",
    ]


def test_runs_table_has_at_most_max_columns() -> None:
    stages = [f"s{number}" for number in range(50)]
    found = deciding_columns(
        dict.fromkeys(stages, ("final_held_out_loss",)), dict.fromkeys(stages, "pretrain")
    )
    assert len(found) == MAX_COLUMNS


def test_runs_table_view_has_mlflows_format() -> None:
    shown = json.loads(view(["mlm/final_held_out_loss"]))
    assert shown["selectedColumns"] == ["attributes.`Description`", "metrics.`mlm/final_held_out_loss`"]
    (section,), (chart,) = shown["compareRunSections"], shown["compareRunCharts"]
    assert (chart["metricKey"], chart["metricSectionId"]) == ("mlm/final_held_out_loss", section["uuid"])


def test_runs_table_view_fits_mlflows_maximum_length() -> None:
    long = [f"{number}" * 250 for number in range(10)]
    assert len(view(long)) <= MAX_LENGTH
    assert json.loads(view(long))["selectedColumns"][1:] == [f"metrics.`{name}`" for name in long[:8]]
