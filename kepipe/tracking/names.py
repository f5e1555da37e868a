"""Names as MLflow takes them."""

from __future__ import annotations

import hashlib
import re

LONGEST = 250
_REFUSED = re.compile(r"[^\w\-. /:]")


def allowed(name: str) -> str:
    """A name of a metric, parameter or tag in the characters that MLflow takes: hits@10 → hits_at_10.

    Names that differ stay apart: one that has to be rewritten or cut ends with 8 digits of its hash.
    """
    plain = name.replace("@", "_at_")
    if len(plain) <= LONGEST and not _REFUSED.search(plain):
        return plain
    mark = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{_REFUSED.sub('_', plain)[: LONGEST - 9]}-{mark}"
