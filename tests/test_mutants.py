"""The mutants of `make mutants`; listed equivalent mutants exist and have a reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.mutants import EQUIVALENT, ROOT, other_tests, own_tests
from tests.support.mutation import equivalents, mutants

SOURCE = '''"""1 < 2"""
@dataclass(frozen=True)
class Row:
    size: Literal[3] = 4

def first(numbers: list[int], most: int = 0) -> int:
    """The 1 that is < 2."""
    if not numbers or most >= len(numbers):
        raise ValueError(f"{most + 1} of {len(numbers)}")
    assert most < 9
    rows = zip(numbers, numbers[1:], strict=True)
    return -numbers[most] if "é" in "né" and most is not None else most % 2
'''


def test_mutants_cover_every_change_of_behaviour_and_no_wording() -> None:
    changes = [
        f"{each.line}: {each.where.change.partition(' → ')[2]}" for each in mutants(Path("m.py"), SOURCE)
    ]
    assert sorted(changes) == sorted(
        [
            "4: 5",
            "6: 1",
            "8: not numbers and most >= len(numbers)",
            "8: numbers",
            "8: most > len(numbers)",
            "11: 2",
            "12: most % 2 if 'é' in 'né' and most is not None else -numbers[most]",
            "12: 'é' in 'né' or most is not None",
            "12: 'é' not in 'né'",
            "12: most is None",
            "12: numbers[most]",
            "12: most // 2",
            "12: 3",
        ]
    )


def test_mutant_is_the_module_with_one_change() -> None:
    texts = {each.source(SOURCE) for each in mutants(Path("m.py"), SOURCE)}
    assert SOURCE.replace("most is not None", "(most is None)") in texts
    assert SOURCE.replace("most % 2", "(most // 2)") in texts  # after a character of two bytes
    for text in texts:
        compile(text, "m.py", "exec")


def test_equivalent_mutants_exist_and_have_a_reason(tmp_path: Path) -> None:
    listed = equivalents(EQUIVALENT)
    files = {Path(change.file) for change in listed}
    existing = {
        each.where for file in files for each in mutants(file, (ROOT / file).read_text(encoding="utf-8"))
    }
    assert sorted(listed.keys() - existing) == []
    (tmp_path / "list.yaml").write_text("kg/splits.py: [{line: x, change: 1 → 2, why: ' '}]")
    with pytest.raises(ValueError, match="1 → 2 has no `why`"):
        equivalents(tmp_path / "list.yaml")


def test_mutants_are_tested_by_tests_of_the_module_and_its_importers() -> None:
    tests = [str(test.relative_to(ROOT)) for test in own_tests(Path("kepipe/flow/runner.py"))]
    assert tests == [f"tests/kepipe/flow/test_runner{part}.py" for part in ("", "_damage", "_sources")]
    tests = [test.name for test in own_tests(Path("kepipe/flow/jobstore.py"))]
    assert tests == ["test_scheduler.py", "test_schedules.py"]  # of who uses it
    others = {str(test.relative_to(ROOT)) for test in other_tests(Path("kg/shuffle.py"))}
    assert "tests/kg/test_shuffle.py" not in others
