"""Puts the pipelines and the example, which lie beside the package, into it where it is built (see pyproject.toml)."""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

SHIPPED = {"pipelines": "pipelines", "docs/example": "example"}
"""Folder here → folder in `kepipe/shipped`; `kepipe/pipeline/shipped.py` finds either."""


class BuildWithPipelines(build_py):
    """Copies the folders beside the modules; an editable installation finds them where they are."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        for source, target in SHIPPED.items():
            inside = Path(self.build_lib, "kepipe", "shipped", target)
            shutil.rmtree(inside, ignore_errors=True)
            shutil.copytree(source, inside)


setup(cmdclass={"build_py": BuildWithPipelines})
