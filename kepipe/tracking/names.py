"""Names in the form that MLflow accepts."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

MAX_LENGTH = 250
_INVALID = re.compile(r"[^\w\-. /:]")


def allowed(name: str) -> str:
    """The name of a metric, parameter or tag in the characters that MLflow accepts: hits@10 → hits_at_10.

    Distinct names stay distinct: a rewritten or truncated name ends with 8 digits of its hash.
    """
    plain = name.replace("@", "_at_")
    if len(plain) <= MAX_LENGTH and not _INVALID.search(plain):
        return plain
    mark = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{_INVALID.sub('_', plain)[: MAX_LENGTH - 9]}-{mark}"


def flatten(config: Mapping[str, Any], at: str = "") -> Iterator[tuple[str, str]]:
    """`{"a": {"b": 1}}` as `("a.b", "1")`."""
    for key, value in config.items():
        name = f"{at}.{key}" if at else str(key)
        if isinstance(value, Mapping) and value:
            yield from flatten(value, name)
        else:
            yield name, value if isinstance(value, str) else json.dumps(value, default=str)
