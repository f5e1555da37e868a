"""Mutation testing of the core, one change at a time: `python -m tests.benchmarks.mutants --minutes 30`.

The mutants (`tests/support/mutation.py`) are drawn with a seed, all with the same probability. Each is tested on a copy
of the checkout, in a fork of a process that has imported the libraries: first with the tests of its module,
`tests/P/test_Y.py` and `test_Y_and_more.py` of `P/Y.py`, and if these pass with the others of its package and those
that import the module. Of these tests those run that execute the changed function or start a process, the fastest
first (`tests/support/executing.py`), up to the first failure. Printed are the mutants that survive, each with its line,
and the share of those that are noticed. Mutants that `equivalent_mutants.yaml` lists as changing no behaviour are
excluded.

`--log FILE` writes one line of JSON for each mutant; `--again FILE` tries the survivors of a log. To try many quickly,
use `--named-alone --log FILE`, then `--again FILE`.
"""

from __future__ import annotations

import argparse
import compileall
import json
import multiprocessing
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.executing import Executed, Recorder, chosen, digest, function_lines, read
from tests.support.mutation import Change, Mutant, equivalents, mutants

ROOT = Path(__file__).parents[2]
EQUIVALENT = Path(__file__).with_name("equivalent_mutants.yaml")
CORE = (
    "kepipe/files.py", "kepipe/flow", "kepipe/noise", "kepipe/nn", "kepipe/objectives", "kepipe/data/alignment.py",
    "kepipe/data/batch_sampler.py", "kepipe/data/sections.py", "kepipe/finetuning/encoding.py",
    "kepipe/finetuning/metrics.py", "kepipe/probes/cloze_scoring.py", "kepipe/probes/ranking.py",
    "kepipe/probes/windows.py", "kepipe/studies/intervals.py", "kepipe/studies/verdict.py", "kepipe/tracking/gate.py",
    "kepipe/tracking/registry.py", "kepipe/training/checkpoint.py", "kepipe/training/train_state.py", "kg/inductive.py",
    "kg/ranking.py", "kg/shuffle.py", "kg/splits.py",
)  # fmt: skip
"""Files and folders on which results depend."""
MAX_USER_TEST_FILES = 3
"""A module without tests of its own is tested by those of its importers, if they are at most so many files."""
COPIED = (
    "kepipe",
    "kg",
    "tests",
    "docs",
    "pipelines",
    "pyproject.toml",
    "README.md",
    "CHANGELOG.md",
    "Makefile",
)
IMPORTED_ONCE = (
    "torch",
    "numpy",
    "scipy.stats",
    "pydantic",
    "yaml",
    "pytest",
    "hypothesis",
    "safetensors.torch",
)


def own_tests(file: Path) -> list[Path]:
    """The tests of a module, by their names."""
    folder, stem = ROOT / "tests" / file.parent, file.stem
    matching = [*folder.glob(f"test_{stem}.py"), *folder.glob(f"test_{stem}_*.py")]
    package = [*folder.parent.glob(f"test_{folder.name}.py"), *folder.parent.glob(f"test_{folder.name}_*.py")]
    objectives = ROOT / "tests" / "kepipe" / "objectives"
    shared_tests = ("test_table.py", "test_settings.py") if objectives in (folder, folder.parent) else ()
    tests, users = {*matching, *package, *(objectives / name for name in shared_tests)}, _tests_of_users(file)
    return sorted(tests or (users if len(users) <= MAX_USER_TEST_FILES else ())) or sorted(
        folder.glob("test_*.py")
    )


def _tests_of_users(file: Path) -> set[Path]:
    """The tests, by their names, of the modules that import this one."""
    users = [
        user.relative_to(ROOT) for part in ("kepipe", "kg") for user in importing_files(file, ROOT / part)
    ]
    return {test for user in users for test in (ROOT / "tests" / user.parent).glob(f"test_{user.stem}.py")}


def importing_files(file: Path, folder: Path, names: str = "*.py") -> Iterator[Path]:
    pattern = re.compile(rf"\b{re.escape('.'.join(file.with_suffix('').parts))}\b")
    return (path for path in folder.rglob(names) if pattern.search(path.read_text(encoding="utf-8")))


def other_tests(file: Path) -> list[Path]:
    """Further tests of a module: of its package, those that import it, and for layers the tests of complete models."""
    tests = {*(ROOT / "tests" / file.parent).glob("test_*.py")} if len(file.parts) > 2 else set()
    tests.update(importing_files(file, ROOT / "tests", "test_*.py"))
    if file.parts[:2] == ("kepipe", "nn"):
        tests.add(ROOT / "tests" / "parity" / "test_families.py")
    return sorted(tests.difference(own_tests(file)))


def _run_tests(checkout: Path, names: list[str], plugins: list[object]) -> None:
    """Run pytest in the checkout, in this process, importing kepipe only from there."""
    os.setsid()
    os.chdir(checkout)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    sys.path[:] = [str(checkout), *(path for path in sys.path if path not in ("", str(ROOT)))]
    sys.dont_write_bytecode = True
    for name in [name for name in sys.modules if name.split(".")[0] in ("tests", "kepipe", "kg")]:
        del sys.modules[name]
    os.environ |= {"PYTHONPATH": str(checkout), "PYTHONDONTWRITEBYTECODE": "1"}
    import pytest

    first = () if plugins else ("-x",)
    os._exit(int(pytest.main(["-q", *first, "-n", "0", "-p", "no:cacheprovider", *names], plugins)))


def exit_code(
    checkout: Path, names: Sequence[str], seconds: float, plugins: Sequence[object] = ()
) -> int | None:
    """How pytest ends in a checkout; None: not within so many seconds."""
    process = multiprocessing.get_context("fork").Process(
        target=_run_tests, args=(checkout, list(names), list(plugins))
    )
    process.start()
    process.join(seconds)
    ended = process.exitcode
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid or 0, signal.SIGKILL)
    process.join()
    return ended


@dataclass
class Checkout:
    """A copy of the checkout on which mutants are tried one after the other.

    `records`: a folder with what the tests of each file execute; a record is valid until the file or the mutant's
    module changes. A file whose tests take more than `patience` seconds is left out.
    """

    folder: Path
    records: Path
    patience: float
    tests: dict[Path, tuple[dict[str, str], list[Executed]]] = field(default_factory=dict)

    def prepare(self) -> None:
        """Copy the files that tests read, compile them, and import the libraries that all tests import."""
        for part in COPIED:
            copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy2
            self.folder.mkdir(exist_ok=True)
            copy(ROOT / part, self.folder / part)
        compileall.compile_dir(self.folder, quiet=2)
        for name in IMPORTED_ONCE:
            __import__(name)

    def noticed(self, mutant: Mutant, named_alone: bool = False) -> bool:
        """Whether a test fails on a mutant; `named_alone`: of its module's own."""
        named, others = own_tests(mutant.file), [] if named_alone else other_tests(mutant.file)
        file = self.folder / mutant.file
        text, stat = file.read_text(encoding="utf-8"), file.stat()
        body = function_lines(text, mutant.line)
        for part in (named, others):
            tests = [test for path in part for test in self._executed(path, mutant.file)]
            chosen_tests = chosen(tests, mutant.file, body)
            if not chosen_tests:
                continue
            usual = sum(test.seconds for test in tests if test.test in chosen_tests)
            try:
                file.write_text(mutant.source(text), encoding="utf-8")
                ended = exit_code(self.folder, chosen_tests, 60 + 5 * usual)
            finally:
                file.write_text(text, encoding="utf-8")
                os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # what was compiled of it holds again
            if ended != 0:  # a mutant that does not end is noticed too
                return True
        return False

    def _executed(self, test: Path, module: Path) -> list[Executed]:
        """What the tests of a file execute, recorded where it is not known for the module and the file as they are."""
        name = test.relative_to(ROOT)
        record = self.records / f"{'-'.join(name.with_suffix('').parts)}-{digest(self.folder / name)}.jsonl"
        version = digest(self.folder / module)
        if test not in self.tests and record.exists():
            self.tests[test] = read(record)
        if test not in self.tests or self.tests[test][0].get(module.as_posix()) != version:
            part = record.with_suffix(".part")
            modules = [each.relative_to(ROOT) for each in core_files(CORE)]
            recorder = Recorder(self.folder, modules, part)
            if exit_code(self.folder, [str(name)], self.patience, [recorder]) is None or not part.exists():
                print(f"left out: {name}, not done after {self.patience:.0f} s", flush=True)
                part.write_text(json.dumps({module.as_posix(): version}) + "\n", encoding="utf-8")
            part.rename(record)
            self.tests[test] = read(record)
        return self.tests[test][1]


def core_files(names: Sequence[str]) -> list[Path]:
    """The modules of files and folders."""
    each = ([ROOT / name] if name.endswith(".py") else (ROOT / name).rglob("*.py") for name in names)
    return sorted({file for files in each for file in files})


def draw_mutants(only: Sequence[str], seed: int, again: Path | None) -> list[Mutant]:
    """The mutants to try, in order."""
    files = core_files(only)
    candidates = [
        mutant
        for file in files
        for mutant in mutants(file.relative_to(ROOT), file.read_text(encoding="utf-8"))
    ]
    print(f"{len(candidates)} mutants of {len(files)} modules")
    equivalent = equivalents(EQUIVALENT)
    if again is not None:
        lines = map(json.loads, again.read_text(encoding="utf-8").splitlines())
        survivors = {Change(*line["where"]) for line in lines if not line["noticed"]}
        return [
            mutant for mutant in candidates if mutant.where in survivors and mutant.where not in equivalent
        ]
    random.Random(seed).shuffle(candidates)
    return [mutant for mutant in candidates if mutant.where not in equivalent]


def main() -> int:
    """Try mutants until the time is over; returns 1 if fewer than the required share are noticed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--share", type=float, default=0.0, help="fail if fewer are noticed")
    parser.add_argument("--skip", type=int, default=0, help="skip the first ones")
    parser.add_argument("--most", type=int, default=sys.maxsize, help="try at most so many mutants")
    parser.add_argument("--log", type=Path, help="append a line of JSON for each mutant")
    parser.add_argument("--again", type=Path, help="a log, whose survivors are tried")
    parser.add_argument(
        "--named-alone", action="store_true", help="run only the tests of the mutant's module"
    )
    parser.add_argument("--records", type=Path, help="a folder: keep there which tests execute what")
    parser.add_argument(
        "--patience", type=float, default=300.0, help="leave out files of tests that take longer"
    )
    parser.add_argument("only", nargs="*", default=CORE, help="files and folders of the core")
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    start_time, survived, tried = time.monotonic(), 0, 0
    selected = draw_mutants(args.only, args.seed, args.again)[args.skip :][: args.most]
    with tempfile.TemporaryDirectory() as name:
        records = args.records or Path(name) / "records"
        records.mkdir(parents=True, exist_ok=True)
        checkout = Checkout(Path(name) / "checkout", records, args.patience)
        checkout.prepare()
        for mutant in selected:
            if time.monotonic() - start_time > 60 * args.minutes:
                break
            start = time.monotonic()
            noticed = checkout.noticed(mutant, args.named_alone)
            tried, survived = tried + 1, survived + (not noticed)
            if not noticed:
                print(f"survived: {mutant}", flush=True)
            if args.log is not None:
                entry = {
                    "where": mutant.where,
                    "noticed": noticed,
                    "seconds": round(time.monotonic() - start, 1),
                }
                with args.log.open("a", encoding="utf-8") as stream:
                    stream.write(json.dumps(entry, ensure_ascii=False) + "\n")
    share = 1 - survived / max(1, tried)
    print(f"{tried} tried, {survived} survived: {share:.1%} noticed (seed {args.seed})")
    return int(share < args.share)


if __name__ == "__main__":
    sys.exit(main())
