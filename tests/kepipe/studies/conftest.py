"""Finished results of a study."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kepipe.flow.artifact import Artifact
from tests.support.studies import Values, result


@pytest.fixture
def results(tmp_path: Path) -> Callable[[Values], dict[str, Artifact]]:
    """Makes the results that `design_of` names."""

    def make(values: Values) -> dict[str, Artifact]:
        return {
            f"finetune.{arm}.{seed}": result(tmp_path, f"finetune.{arm}.{seed}", seed, f1)
            for arm, found in values.items()
            for seed, f1 in enumerate(found)
        }

    return make
