"""`import kepipe`: fast, and with all public names."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

import kepipe


def test_importing_kepipe_imports_no_heavy_libraries() -> None:
    program = (
        "import sys, kepipe\n"
        "assert callable(kepipe.run) and callable(kepipe.load)\n"
        "heavy = {'torch', 'spacy', 'mlflow', 'pykeen', 'transformers', 'numpy', 'pydantic', 'optuna'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_public_names_exist_and_are_listed() -> None:
    for name in kepipe.__all__:
        assert name in dir(kepipe)
        assert getattr(kepipe, name) is not None
    assert kepipe.run is import_module("kepipe.api.running").run
    with pytest.raises(AttributeError, match="no attribute 'runs'"):
        getattr(kepipe, "runs")  # noqa: B009
