from __future__ import annotations

import json

from kepipe.tracking.runs_table import MAX_COLUMNS, MAX_LENGTH, deciding_columns, view


def test_the_main_figure_of_each_stage_arm_and_split_decides() -> None:
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


def test_there_are_no_more_columns_than_fit() -> None:
    stages = [f"s{number}" for number in range(50)]
    found = deciding_columns(
        dict.fromkeys(stages, ("final_held_out_loss",)), dict.fromkeys(stages, "pretrain")
    )
    assert len(found) == MAX_COLUMNS


def test_a_view_is_what_mlflow_reads() -> None:
    shown = json.loads(view(["mlm/final_held_out_loss"]))
    assert shown["selectedColumns"] == ["attributes.`Description`", "metrics.`mlm/final_held_out_loss`"]
    (section,), (chart,) = shown["compareRunSections"], shown["compareRunCharts"]
    assert (chart["metricKey"], chart["metricSectionId"]) == ("mlm/final_held_out_loss", section["uuid"])


def test_a_view_is_no_longer_than_mlflow_takes() -> None:
    long = [f"{number}" * 250 for number in range(10)]
    assert len(view(long)) <= MAX_LENGTH
    assert json.loads(view(long))["selectedColumns"][1:] == [f"metrics.`{name}`" for name in long[:8]]
