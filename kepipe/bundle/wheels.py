"""kepipe and the packages that it needs, as wheels and as requirements."""

from __future__ import annotations

import base64
import hashlib
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.tags import sys_tags
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from kepipe.version import __version__

PACKAGES = ("kepipe", "kg")
EPOCH = (1980, 1, 1, 0, 0, 0)
"""Time of all files in the wheel: equal content gives equal bytes."""


def needed() -> dict[str, str]:
    """Name → version, as installed here, of all packages that kepipe needs, those that these need too."""
    found: dict[str, str] = {}
    waiting = [("kepipe", frozenset[str]())]
    seen = set(waiting)
    while waiting:
        name, extras = waiting.pop()
        try:
            package = distribution(name)
        except PackageNotFoundError:
            continue
        if name != "kepipe":
            found[name] = package.version
        for line in package.requires or ():
            one = Requirement(line)
            wanted = any(
                one.marker is None or one.marker.evaluate({"extra": extra}) for extra in extras | {""}
            )
            entry = canonicalize_name(one.name), frozenset(one.extras)
            if wanted and entry not in seen:
                seen.add(entry)
                waiting.append(entry)
    return dict(sorted(found.items()))


def write_own_wheel(folder: Path) -> Path:
    """Write kepipe, as it is imported here, as a wheel; also of a checkout that is installed as editable."""
    import kepipe

    root = Path(kepipe.__file__).parents[1]
    info = f"kepipe-{__version__}.dist-info"
    wheel = folder / f"kepipe-{__version__}-py3-none-any.whl"
    contents = dict(_modules(root))
    package = distribution("kepipe")
    about = package.read_text("METADATA") or package.read_text("PKG-INFO")  # the latter beside a checkout
    contents[f"{info}/METADATA"] = (about or "").encode()
    contents[f"{info}/entry_points.txt"] = (package.read_text("entry_points.txt") or "").encode()
    contents[f"{info}/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: kepipe bundle\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    record = [f"{name},sha256={_digest(content)},{len(content)}" for name, content in contents.items()]
    contents[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,", ""]).encode()
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(zipfile.ZipInfo(name, EPOCH), content, zipfile.ZIP_DEFLATED)
    return wheel


def _modules(root: Path) -> Iterator[tuple[str, bytes]]:
    """The files of the packages; in a checkout the shipped pipelines lie beside them."""
    for package in PACKAGES:
        for file in sorted((root / package).rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                yield file.relative_to(root).as_posix(), file.read_bytes()
    if not (root / "kepipe" / "shipped").is_dir():
        for source, target in {"pipelines": "pipelines", "docs/example": "example"}.items():
            for file in sorted((root / source).rglob("*")):
                if file.is_file():
                    inside = file.relative_to(root / source).as_posix()
                    yield f"kepipe/shipped/{target}/{inside}", file.read_bytes()


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def find_wheels(folder: Path, packages: Mapping[str, str]) -> dict[str, Path]:
    """Name → wheel of the version that is installed here and runs on this machine, of those packages of which the
    folder has one."""
    tags = set(sys_tags())
    found = {}
    for file in sorted(folder.glob("*.whl")):
        try:
            name, version, _, supported = parse_wheel_filename(file.name)
        except InvalidWheelFilename:
            continue
        if packages.get(name) == str(version) and not tags.isdisjoint(supported):
            found[str(name)] = file
    return found


def download_wheels(folder: Path, packages: Mapping[str, str]) -> None:
    """Fill a folder with wheels from pip's package index, built where there is none. Raises OSError if pip fails."""
    pins = [f"{name}=={version}" for name, version in packages.items()]
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--wheel-dir",
        str(folder),
        *pins,
    ]
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if ended.returncode:
        last = (ended.stderr.strip().splitlines() or ["no message"])[-1]
        raise OSError(f"pip wheel failed: {last}; `--wheels FOLDER` takes wheels that are there already")


def known_hashes(root: Path) -> dict[str, tuple[str, ...]]:
    """`name==version` → digests of its files, from the file of constraints of a checkout; {} elsewhere."""
    file = root / "constraints.txt"
    if not file.is_file():
        return {}
    text = file.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = (line.split(";")[0].split(" --hash")[0].strip() for line in text.splitlines())
    hashes = (tuple(re.findall(r"--hash=(sha256:[0-9a-f]{64})", line)) for line in text.splitlines())
    return {pin: found for pin, found in zip(lines, hashes, strict=True) if found}


def requirements(packages: Mapping[str, str], hashes: Mapping[str, Iterable[str]]) -> tuple[str, str]:
    """Two files for pip: of packages whose digests are known, and of the others."""
    checked: list[str] = []
    others: list[str] = []
    for name, version in packages.items():
        digests = "".join(f" \\\n    --hash={each}" for each in hashes.get(f"{name}=={version}", ()))
        (checked if digests else others).append(f"{name}=={version}{digests}\n")
    return "".join(checked), "".join(others)
