"""Bad lines of a user's files: all are counted, the first few are kept with their location, or the first one raises.
Also an account of what a reader used and what it skipped on purpose."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kg.sources.account import Account


@dataclass(frozen=True, slots=True)
class Problem:
    """An error on a line of a file; `line` counts from 1, 0 means the whole file."""

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}" if self.line else f"{self.file}: {self.message}"


@dataclass
class Problems:
    """Collects problems: all are counted, `keep` are kept; `strict` raises ValueError at the first.

    File names are kept without their folder, so that a report does not depend on the location of the data.
    """

    strict: bool = False
    keep: int = 20
    count: int = 0
    first: list[Problem] = field(default_factory=list)
    account: Account = field(default_factory=Account)
    """Counts of what readers imported and skipped."""

    def add(self, file: Path, line: int, message: str) -> None:
        """Record a problem. Raises ValueError if strict."""
        if self.strict:
            raise ValueError(str(Problem(str(file), line, message)))
        self.count += 1
        if len(self.first) < self.keep:
            self.first.append(Problem(file.name, line, message))

    def __bool__(self) -> bool:
        return self.count > 0

    def summary(self, shown: int = 5) -> str:
        """A readable summary: the number of problems and the first of them; "" if there are none."""
        if not self:
            return ""
        lines = [f"{self.count:,} problem{'s' if self.count > 1 else ''} in the input:"]
        lines += [f"  {problem}" for problem in self.first[:shown]]
        if self.count > shown:
            more = self.count - min(shown, len(self.first))
            lines.append(f"  … and {more:,} more (`strict` refuses the first)")
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """`{"count": …, "first": [{"file": …, "line": …, "message": …}]}`."""
        kept = [{"file": p.file, "line": p.line, "message": p.message} for p in self.first]
        return {"count": self.count, "first": kept}
