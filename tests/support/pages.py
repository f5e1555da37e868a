"""The fenced blocks of the docs' pages, and the commands in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]


def blocks(page: Path) -> list[tuple[str, str]]:
    """Language and text of each fenced block, in their order."""
    return re.findall(r"^ *```(\w*)\n(.*?)^ *```", page.read_text(encoding="utf-8"), re.S | re.M)


def fenced(page: Path, language: str) -> Iterator[str]:
    """The blocks of a language."""
    return (block for block_language, block in blocks(page) if block_language == language)


def typed(block: str) -> Iterator[str]:
    """The commands of a block: continued lines joined, several commands on a line separated."""
    for line in re.sub(r"\\\n\s*", " ", block).splitlines():
        yield from (part.strip() for part in re.split(r"&&|\s\|\s|\s{4,}", line.partition("   #")[0]))


def commands(page: Path) -> Iterator[str]:
    """The commands in shell blocks, and those at the head of pipeline files."""
    if page.suffix == ".yaml":
        shell_blocks = re.findall(r"^# Command: *(.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    else:
        shell_blocks = [block for language, block in blocks(page) if language in ("", "sh", "bash")]
    for block in shell_blocks:
        yield from typed(block)
