"""Change the core one place at a time, and see whether a test fails: `python -m tests.benchmarks.mutants --minutes 30`.

Which mutants (`tests/support/mutation.py`) are tried is drawn by a seed, a module as often as it has places. Each is
tried on a copy of the checkout, in a fork of a process that has imported the libraries: first by the tests of its
module, `tests/P/test_Y.py` and `test_Y_and_more.py` of `P/Y.py`, and where these pass by the others of its package and
by those that import the module. Of each file's tests those run that execute the changed function, or start a process,
the fastest first (`tests/support/executing.py`); the first failure ends it. Printed are those that no test notices,
each with its line, and the share that some test does, of those that `equivalent_mutants.yaml` does not list as changing
no behaviour.

`--log FILE` keeps one line of JSON for each; `--again FILE` tries those that survived there once more. Many are tried
fast by `--named-alone --log FILE`, then `--again FILE`.
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
"""Where results are made: files and folders."""
FEW = 3
"""A module without tests of its own is tried by those of the modules that use it where these have no more files."""
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


def named_tests(file: Path) -> list[Path]:
    """The tests of a module, by their names."""
    folder, stem = ROOT / "tests" / file.parent, file.stem
    found = [*folder.glob(f"test_{stem}.py"), *folder.glob(f"test_{stem}_*.py")]
    package = [*folder.parent.glob(f"test_{folder.name}.py"), *folder.parent.glob(f"test_{folder.name}_*.py")]
    objectives = ROOT / "tests" / "kepipe" / "objectives"
    whole = ("test_table.py", "test_settings.py") if objectives in (folder, folder.parent) else ()
    named, users = {*found, *package, *(objectives / name for name in whole)}, _tests_of_users(file)
    return sorted(named or (users if len(users) <= FEW else ())) or sorted(folder.glob("test_*.py"))


def _tests_of_users(file: Path) -> set[Path]:
    """The tests, by their names, of the modules that import one that has none of its own."""
    users = [user.relative_to(ROOT) for part in ("kepipe", "kg") for user in _importing(file, ROOT / part)]
    return {test for user in users for test in (ROOT / "tests" / user.parent).glob(f"test_{user.stem}.py")}


def _importing(file: Path, folder: Path, names: str = "*.py") -> Iterator[Path]:
    imported = re.compile(rf"\b{re.escape('.'.join(file.with_suffix('').parts))}\b")
    return (each for each in folder.rglob(names) if imported.search(each.read_text(encoding="utf-8")))


def other_tests(file: Path) -> list[Path]:
    """The tests that look at a module from beside: of its package, those that import it, for layers whole models'."""
    tests = {*(ROOT / "tests" / file.parent).glob("test_*.py")} if len(file.parts) > 2 else set()
    tests.update(_importing(file, ROOT / "tests", "test_*.py"))
    if file.parts[:2] == ("kepipe", "nn"):
        tests.add(ROOT / "tests" / "parity" / "test_families.py")
    return sorted(tests.difference(named_tests(file)))


def _run_tests(checkout: Path, names: list[str], plugins: list[object]) -> None:
    """In a process of its own: pytest in the checkout, nothing of it from elsewhere."""
    os.setsid()
    os.chdir(checkout)
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    sys.path[:] = [str(checkout), *(place for place in sys.path if place not in ("", str(ROOT)))]
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
class Trial:
    """A copy of the checkout on which one mutant after the other is tried.

    `records`: a folder of what each file of tests executes, used again while neither it nor the module changes. A file
    whose tests take more than `patience` seconds is left out.
    """

    checkout: Path
    records: Path
    patience: float
    tests: dict[Path, tuple[dict[str, str], list[Executed]]] = field(default_factory=dict)

    def prepare(self) -> None:
        """Copy what tests read, compiled, and import what all of them import."""
        for part in COPIED:
            copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy2
            self.checkout.mkdir(exist_ok=True)
            copy(ROOT / part, self.checkout / part)
        compileall.compile_dir(self.checkout, quiet=2)
        for name in IMPORTED_ONCE:
            __import__(name)

    def noticed(self, mutant: Mutant, named_alone: bool = False) -> bool:
        """Whether a test fails on a mutant; `named_alone`: of its module's own."""
        named, others = named_tests(mutant.file), [] if named_alone else other_tests(mutant.file)
        file = self.checkout / mutant.file
        text, stat = file.read_text(encoding="utf-8"), file.stat()
        body = function_lines(text, mutant.line)
        for part in (named, others):
            tests = [test for path in part for test in self._executed(path, mutant.file)]
            chosen_tests = chosen(tests, mutant.file, body)
            if not chosen_tests:
                continue
            usual = sum(test.seconds for test in tests)
            try:
                file.write_text(mutant.source(text), encoding="utf-8")
                ended = exit_code(self.checkout, chosen_tests, 60 + 5 * usual)
            finally:
                file.write_text(text, encoding="utf-8")
                os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # what was compiled of it holds again
            if ended != 0:  # a mutant that does not end is noticed too
                return True
        return False

    def _executed(self, test: Path, module: Path) -> list[Executed]:
        """What the tests of a file execute, recorded where it is not known for the module and the file as they are."""
        name = test.relative_to(ROOT)
        record = self.records / f"{'-'.join(name.with_suffix('').parts)}-{digest(self.checkout / name)}.jsonl"
        version = digest(self.checkout / module)
        if test not in self.tests and record.exists():
            self.tests[test] = read(record)
        if test not in self.tests or self.tests[test][0].get(module.as_posix()) != version:
            part = record.with_suffix(".part")
            modules = [each.relative_to(ROOT) for each in core_files(CORE)]
            recorder = Recorder(self.checkout, modules, part)
            if exit_code(self.checkout, [str(name)], self.patience, [recorder]) is None or not part.exists():
                print(f"left out: {name}, not done after {self.patience:.0f} s", flush=True)
                part.write_text(json.dumps({module.as_posix(): version}) + "\n", encoding="utf-8")
            part.rename(record)
            self.tests[test] = read(record)
        return self.tests[test][1]


def core_files(names: Sequence[str]) -> list[Path]:
    """The modules of files and folders."""
    each = ([ROOT / name] if name.endswith(".py") else (ROOT / name).rglob("*.py") for name in names)
    return sorted({file for files in each for file in files})


def drawn(only: Sequence[str], seed: int, again: Path | None) -> list[Mutant]:
    """The mutants to try, in the order in which they are tried."""
    files = core_files(only)
    found = [
        each for file in files for each in mutants(file.relative_to(ROOT), file.read_text(encoding="utf-8"))
    ]
    print(f"{len(found)} mutants of {len(files)} modules")
    listed = equivalents(EQUIVALENT)
    if again is not None:
        lines = map(json.loads, again.read_text(encoding="utf-8").splitlines())
        wanted = {Change(*line["where"]) for line in lines if not line["noticed"]}
        return [each for each in found if each.where in wanted and each.where not in listed]
    random.Random(seed).shuffle(found)
    return [each for each in found if each.where not in listed]


def main() -> int:
    """Try mutants until the time is over; 1 where fewer than the wanted share are noticed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--share", type=float, default=0.0, help="fail where fewer are noticed")
    parser.add_argument("--skip", type=int, default=0, help="leave out the first of the drawn")
    parser.add_argument("--most", type=int, default=sys.maxsize, help="try no more mutants")
    parser.add_argument("--log", type=Path, help="append a line of JSON for each")
    parser.add_argument("--again", type=Path, help="a log: try those that survived there")
    parser.add_argument(
        "--named-alone", action="store_true", help="ask the module's own tests; then --again the rest"
    )
    parser.add_argument("--records", type=Path, help="a folder: keep there which tests execute what")
    parser.add_argument(
        "--patience", type=float, default=300.0, help="leave out files of tests that take longer"
    )
    parser.add_argument("only", nargs="*", default=CORE, help="files and folders of the core")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    begun, survived, tried = time.monotonic(), 0, 0
    chosen = drawn(options.only, options.seed, options.again)[options.skip :][: options.most]
    with tempfile.TemporaryDirectory() as name:
        records = options.records or Path(name) / "records"
        records.mkdir(parents=True, exist_ok=True)
        trial = Trial(Path(name) / "checkout", records, options.patience)
        trial.prepare()
        for mutant in chosen:
            if time.monotonic() - begun > 60 * options.minutes:
                break
            start = time.monotonic()
            noticed = trial.noticed(mutant, options.named_alone)
            tried, survived = tried + 1, survived + (not noticed)
            if not noticed:
                print(f"survived: {mutant}", flush=True)
            if options.log is not None:
                entry = {
                    "where": mutant.where,
                    "noticed": noticed,
                    "seconds": round(time.monotonic() - start, 1),
                }
                with options.log.open("a", encoding="utf-8") as stream:
                    stream.write(json.dumps(entry, ensure_ascii=False) + "\n")
    share = 1 - survived / max(1, tried)
    print(f"{tried} tried, {survived} survived: {share:.1%} noticed (seed {options.seed})")
    return int(share < options.share)


if __name__ == "__main__":
    sys.exit(main())
