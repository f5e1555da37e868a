"""The table of models is PyKEEN's own."""

from __future__ import annotations

import pytest

from kg.embedding_models import MODELS, UNFIT, fitting_width, name_model


def test_the_table_names_all_models_of_pykeen() -> None:
    from pykeen.models import model_resolver

    assert {*MODELS, *UNFIT} == {cls.__name__ for cls in model_resolver.lookup_dict.values()}
    assert not {*MODELS} & {*UNFIT}
    assert list(MODELS) == sorted(MODELS, key=str.lower)


def test_a_name_is_known_however_it_is_capitalised() -> None:
    assert name_model("rotate") == "RotatE"
    with pytest.raises(
        ValueError, match=r"'TransX': PyKEEN has none of this name; there is AutoSF, .*, TuckER"
    ):
        name_model("TransX")
    with pytest.raises(ValueError, match="'compgcn': it is made of inverse triples; there is"):
        name_model("compgcn")


def test_conve_needs_a_width_that_is_a_picture() -> None:
    widths = [dim for dim in range(1, 28) if fitting_width("ConvE", dim) == dim]
    assert widths == [6, 8, 9, 10, 12, 14, 15, 16, 18, 20, 21, 22, 24, 25, 26, 27]
    assert fitting_width("ConvE", 7) == 8
    assert fitting_width("TransE", 7) == 7
