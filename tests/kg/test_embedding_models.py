"""The table of models agrees with PyKEEN."""

from __future__ import annotations

import pytest

from kg.embedding_models import MODELS, UNFIT, fitting_width, name_model


def test_the_table_names_all_models_of_pykeen() -> None:
    from pykeen.models import model_resolver

    assert {*MODELS, *UNFIT} == {cls.__name__ for cls in model_resolver.lookup_dict.values()}
    assert not {*MODELS} & {*UNFIT}
    assert list(MODELS) == sorted(MODELS, key=str.lower)


def test_names_ignore_case() -> None:
    assert name_model("rotate") == "RotatE"
    with pytest.raises(
        ValueError, match=r"'TransX': PyKEEN has no model of this name; expected AutoSF, .*, TuckER"
    ):
        name_model("TransX")
    with pytest.raises(ValueError, match="'compgcn': it needs inverse triples; expected"):
        name_model("compgcn")


def test_conve_needs_a_dimension_that_is_an_image() -> None:
    widths = [dim for dim in range(1, 28) if fitting_width("ConvE", dim) == dim]
    assert widths == [6, 8, 9, 10, 12, 14, 15, 16, 18, 20, 21, 22, 24, 25, 26, 27]
    assert fitting_width("ConvE", 7) == 8
    assert fitting_width("TransE", 7) == 7
