"""The page on training: every family's published settings, or why they are refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kepipe.models.any_base import OTHERS, TRAINED
from kepipe.models.families import FAMILIES
from kepipe.training.recipes import settings_of
from kepipe.training.settings import TrainingSettings

PAGE = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
SECTION = PAGE.split("### Published settings\n")[1].split("\n## ")[0]
ROWS = {
    family: [cell.strip() for cell in line.strip("|").split("|")][1:]
    for line in SECTION.splitlines()
    if line.startswith("| `")
    for family in re.findall(r"`([\w.-]+)`", line.split("|")[1])
    if family != "family"
}
OPTIMIZERS = {"AdamW": "adamw", "Adam (no decay)": "adamw", "Adafactor": "adafactor", "Adagrad": "adagrad"}


def test_all_families_are_in_the_table() -> None:
    assert ROWS.keys() == {*FAMILIES, *OTHERS}


@pytest.mark.parametrize("family", [*FAMILIES, *TRAINED])
def test_table_has_the_settings_of_the_recipe(family: str) -> None:
    first, schedule, others, source = ROWS[family]
    if first == "refused":
        with pytest.raises(ValueError, match=f"no usable published settings of {family}"):
            settings_of("published", family)
        assert (schedule, others) == ("", "")
        assert source
        return
    found = {
        name: field.get_default(call_default_factory=True)
        for name, field in TrainingSettings.model_fields.items()
    } | dict(settings_of("published", family))
    optimizer, rate = first.rsplit(", ", 1)
    assert (OPTIMIZERS[optimizer], float(rate)) == (found["optimizer"], found["learning_rate"])
    decay, betas, epsilon, clipping = others.split("; ")
    assert float(decay.replace("none", "0")) == found["weight_decay"]
    assert float(clipping.replace("none", "0")) == found["max_grad_norm"]
    if betas != "–":
        assert tuple(map(float, betas.split(", "))) == found["betas"]
        assert float(epsilon) == found["epsilon"]
    warmup = re.search(r"([\d.]+)%", schedule)
    assert found["warmup"] == pytest.approx(float(warmup[1]) / 100 if warmup else 0.0, rel=0.01)
    assert found["schedule"] in schedule.replace("inverse square root", "")
