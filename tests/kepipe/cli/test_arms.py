"""What models are called that are named on the command line."""

import pytest

from kepipe.cli.arms import arms


def test_arms_are_called_by_what_tells_them_apart() -> None:
    assert arms(["minilm"]) == {"minilm": "minilm"}
    assert arms(["w/a/pretrain", "w/b/pretrain"]) == {
        "a/pretrain": "w/a/pretrain",
        "b/pretrain": "w/b/pretrain",
    }
    with pytest.raises(ValueError, match="the same model is given twice"):
        arms(["minilm", "minilm"])
