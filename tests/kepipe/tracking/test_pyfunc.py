"""A model folder in MLflow's format."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from importlib.metadata import packages_distributions, requires, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from kepipe.tracking import pyfunc
from tests.support.tasks import base_model


def test_code_of_a_registered_model_is_private_to_its_owner(tmp_path: Path) -> None:
    """Whatever the permissions of the installed package."""
    folder, before = base_model(tmp_path / "base"), os.umask(0o077)
    try:
        pyfunc.write(folder.folder, tmp_path / "model", "m-0", "r")
    finally:
        os.umask(before)
    code = [tmp_path / "model" / "code", *(tmp_path / "model" / "code").rglob("*")]
    assert len(code) > 100
    assert {stat.S_IMODE(place.stat().st_mode) for place in code if place.is_dir()} == {0o700}
    assert {stat.S_IMODE(place.stat().st_mode) for place in code if place.is_file()} == {0o600}


def test_pyfunc_uses_its_own_code_and_only_pinned_packages(tmp_path: Path) -> None:
    """On a public index the name `kepipe` is not ours: nothing is installed by it, and the code that answers is the
    model's own. It needs no other packages than those that it pins, and theirs."""
    stored = tmp_path / "model"
    pyfunc.write(base_model(tmp_path / "base").folder, stored, "m-0", "r")
    pinned = (stored / "requirements.txt").read_text().split()
    assert f"torch=={version('torch')}" in pinned
    assert all("==" in line and not line.startswith(("kepipe", "kg")) for line in pinned)
    brought = {*brought_by(pinned), "kepipe", "pip", "setuptools"}
    others = [
        name
        for name, places in packages_distributions().items()
        if brought.isdisjoint(map(canonicalize_name, places))
    ]
    assert {"pytest", "moto"} & {*others}
    elsewhere = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    answer = subprocess.run(
        [sys.executable, "-P", "-c", SERVE, str(stored), "ann saw [MASK] in oslo", *others],
        env=elsewhere,
        cwd=stored,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr[-2000:]
    count, *files = answer.stdout.split()[-3:]
    assert int(count) == 5
    assert [Path(file) for file in files] == [
        stored / "code" / name / "__init__.py" for name in ("kepipe", "kg")
    ]


SERVE = """
import sys
from importlib.machinery import PathFinder
class Finder(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in sys.argv[3:] else PathFinder.find_spec(name, path, target)
sys.meta_path[sys.meta_path.index(PathFinder)] = Finder
import mlflow.pyfunc
model = mlflow.pyfunc.load_model(sys.argv[1])
import kepipe, kg
print(len(model.predict([sys.argv[2]])), kepipe.__file__, kg.__file__)
"""
"""A model in a process that has no other packages than those that are not named."""


def brought_by(pinned: list[str]) -> set[str]:
    """The packages that pip installs for requirements, by what the packages here say of themselves."""
    waiting, found = [Requirement(line) for line in pinned], set[tuple[str, str]]()
    while waiting:
        one = waiting.pop()
        name = canonicalize_name(one.name)
        for extra in {"", *one.extras} - {extra for known, extra in found if known == name}:
            found.add((name, extra))
            needed = [Requirement(line) for line in requires(name) or ()]
            waiting += [
                each for each in needed if each.marker is None or each.marker.evaluate({"extra": extra})
            ]
    return {name for name, _ in found}
