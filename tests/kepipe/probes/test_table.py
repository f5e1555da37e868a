"""Every row of the table of probes is documented, tested and used; the schema is made from the table."""

import inspect
from pathlib import Path

import pytest

from kepipe.models.config import TransformerConfig
from kepipe.probes.evaluation import fitting
from kepipe.probes.table import PROBES, score_name
from kepipe.stages.evaluate import EvaluateConfig

ROOT = Path(__file__).parents[3]
SIZES = {"family": "any", "vocabulary": 9, "hidden": 8, "heads": 2, "feedforward": 8}


def read(*patterns):
    return "\n".join(file.read_text(encoding="utf-8") for pattern in patterns for file in ROOT.glob(pattern))


@pytest.mark.parametrize("name", PROBES)
def test_probe_is_documented_tested_and_in_use(name):
    row = PROBES[name]
    assert f"| `{name}` | {row.asks} | {row.description} |\n" in read("docs/probes.md")
    assert name in read("pipelines/*.yaml", "docs/*.md", "docs/example/*.yaml")
    module = inspect.getmodule(PROBES[name].make)
    *folder, file = module.__name__.split(".")
    assert ROOT.joinpath("tests", *folder, f"test_{file}.py").is_file()


def test_schema_offers_the_table_of_probes():
    field = EvaluateConfig.model_json_schema()["properties"]["probes"]
    (offered,) = [option["items"]["enum"] for option in field["anyOf"] if "items" in option]
    assert offered == list(PROBES)
    for name, row in PROBES.items():
        assert f"`{name}`: {row.description}" in field["description"]


@pytest.mark.parametrize("row", PROBES.values(), ids=PROBES)
def test_probe_presentation_uses_metrics_that_exist(row):
    shown = row.presentation
    named = {shown.deciding, *shown.drawn, *shown.facts}
    assert named <= set(shown.metrics)
    assert not shown.examples or shown.examples in row.files


def test_names_in_the_scores_are_those_of_metrics():
    assert [score_name(name) for name in PROBES] == ["graph_quiz", "entity_cloze", "perplexity", "mlm_loss"]


def test_probes_are_selected_by_model_capabilities():
    encoder = TransformerConfig(**SIZES, encoder_layers=1)
    assert fitting(None, encoder, "arm") == ("entity-cloze", "mlm-loss")
    for stacks in ({"decoder_layers": 1}, {"encoder_layers": 1, "decoder_layers": 1}):
        assert fitting(None, TransformerConfig(**SIZES, **stacks), "arm") == ("perplexity",)

    class Counted:
        """The config of a model of another kind."""

        capabilities = frozenset({"language-model"})

    assert fitting(None, Counted(), "arm") == ("perplexity",)
    with pytest.raises(
        ValueError,
        match="`arm` cannot answer mlm-loss, which requires a masked-lm, only graph-quiz and perplexity",
    ):
        fitting(("mlm-loss",), Counted(), "arm")
