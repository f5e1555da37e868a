"""Sanitise labels for XML files and matplotlib charts, which do not support all characters."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""Invalid by XML 1.0, section 2.2: control characters except tab, line feed and carriage return; surrogates."""


def in_xml(text: str) -> str:
    """The text with invalid characters of XML replaced."""
    return NOT_IN_XML.sub("\N{REPLACEMENT CHARACTER}", text)


def in_chart(text: str) -> str:
    """The text as a label for matplotlib, which omits labels that begin with `_` from a legend."""
    return in_xml(f"\N{ZERO WIDTH SPACE}{text}" if text.startswith("_") else text)


@contextmanager
def chart_settings(settings: dict[str, Any]) -> Iterator[None]:
    """matplotlib's defaults with these settings, ignoring any `matplotlibrc` in the folder; text is never a formula."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        chosen: Any = {"text.parse_math": False, **settings}
        matplotlib.rcParams.update(chosen)
        yield
