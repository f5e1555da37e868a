"""Code points, character classes, and word boundaries."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

OTHER, LETTER, UNSPACED, UNSPACED_MARK = 0, 1, 2, 3
"""Character classes. There is no word boundary between two LETTERs; scripts without spaces (UNSPACED) have one
everywhere. LETTER and UNSPACED together are what the regular expression `[^\\W_]` matches.
"""
_TABLED = 0x10000


def code_points(text: str) -> npt.NDArray[np.uint32]:
    """The code points of a text: uint32 [n]."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def classify(codes: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint8]:
    """The class of each character: uint8 [n]."""
    classes = _classes()[np.minimum(codes, _TABLED - 1)]
    for place in np.flatnonzero(codes >= _TABLED).tolist():
        classes[place] = _class_of(int(codes[place]))
    return classes


@cache
def _classes() -> npt.NDArray[np.uint8]:
    """The class of each character of the basic multilingual plane."""
    return np.fromiter(map(_class_of, range(_TABLED)), np.uint8, _TABLED)


def _class_of(code: int) -> int:
    known = chr(code).isalnum()
    if (
        0x3040 <= code <= 0x30FF
        or 0x3400 <= code <= 0x9FFF
        or 0x20000 <= code <= 0x3FFFF
        or 0xE00 <= code <= 0xEFF
    ):
        return UNSPACED if known else UNSPACED_MARK  # kana, Han, Thai and Lao
    return LETTER if known else OTHER
