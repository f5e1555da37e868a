"""Detection of offsets that are not in characters."""

from __future__ import annotations

import pytest

from kepipe.data.gold_formats.offsets import MarkedOffsets, check_offsets

TEXTS = ["Ä🙂 Ada Lind left Oslo today.", "In Århus 🎉 Ada Lind spoke.", "Ada Lind, Oslo."] * 3
NAMES = ["Ada Lind", "Oslo", "Århus"]


def places(text: str) -> list[tuple[int, int]]:
    return [(text.index(name), text.index(name) + len(name)) for name in NAMES if name in text]


def in_units(text: str, place: int, encoding: str, size: int) -> int:
    return len(text[:place].encode(encoding)) // size


@pytest.mark.parametrize(
    ("encoding", "size", "reason"), [("utf-16-le", 2, "UTF-16 units"), ("utf-8", 1, "bytes of UTF-8")]
)
def test_offsets_in_other_units_are_reported(encoding: str, size: int, reason: str) -> None:
    marks = [
        MarkedOffsets(
            text,
            [(in_units(text, a, encoding, size), in_units(text, b, encoding, size)) for a, b in places(text)],
        )
        for text in TEXTS
    ]
    assert reason in (check_offsets(marks) or "")


def test_an_inclusive_end_is_reported() -> None:
    marks = [MarkedOffsets(text, [(start, end - 1) for start, end in places(text)]) for text in TEXTS]
    message = check_offsets(marks)
    assert message is not None
    assert message.startswith(
        "18 of 18 mentions begin or end inside words; most likely `end` is the index of the last character"
    )


def test_correct_offsets_and_chinese_raise_no_error() -> None:
    assert check_offsets([MarkedOffsets(text, places(text)) for text in TEXTS]) is None
    assert check_offsets([MarkedOffsets("昨天他访问了北京大学", [(6, 8)])] * 5) is None
    assert check_offsets([]) is None
