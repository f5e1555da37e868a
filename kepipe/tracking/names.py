"""Names in the form that MLflow accepts."""

from __future__ import annotations

import hashlib
import re

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
