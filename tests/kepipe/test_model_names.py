from pathlib import Path

import pytest

from kepipe.model_names import means_place


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("gpt2", False),
        ("google/t5-small", False),
        ("here", True),
        ("here/typo", True),
        ("./typo", True),
        ("~/typo", True),
        ("/typo", True),
        ("a/b/c", True),
    ],
)
def test_hub_ids_are_distinguished_from_paths(
    name: str, place: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("here").mkdir()
    assert means_place(name) == place
