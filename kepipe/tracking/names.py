"""Names as MLflow takes them."""

from __future__ import annotations

import re

LONGEST = 250


def allowed(name: str) -> str:
    """A name of a metric, parameter or tag in the characters that MLflow takes: hits@10 → hits_at_10."""
    return re.sub(r"[^\w\-. /:]", "_", name.replace("@", "_at_"))[:LONGEST]
