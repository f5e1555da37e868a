"""Names of the models that are given on the command line."""

import pytest

from kepipe.cli.arms import arms


def test_arm_names_are_the_parts_of_paths_that_differ() -> None:
    assert arms(["minilm"]) == {"minilm": "minilm"}
    assert arms(["w/a/pretrain", "w/b/pretrain"]) == {
        "a/pretrain": "w/a/pretrain",
        "b/pretrain": "w/b/pretrain",
    }
    with pytest.raises(ValueError, match="the same model is given twice"):
        arms(["minilm", "minilm"])
