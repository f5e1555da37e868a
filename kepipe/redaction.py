"""Secrets kept out of what is shown and of what is written: those of the environment, wherever they stand in a text.

Texts of the user's are not touched: what is hidden is the secret itself, or the user's part of a store's address.
"""

from __future__ import annotations

import os
import re
from urllib.parse import parse_qsl, unquote, urlsplit

HIDDEN = "***"
ADDRESSES = (
    "MLFLOW_TRACKING_URI",
    "MLFLOW_REGISTRY_URI",
    "MLFLOW_BACKEND_STORE_URI",
    "MLFLOW_S3_ENDPOINT_URL",
    "KEPIPE_SMTP",
)
"""Environment variables with an address, in which a user and a password may stand."""
_WORDS = "password|passwd|pwd|secret|token|credential|credentials|key|signature|sig"
NAMED = re.compile(rf"(?i)(?:^|[_.-]|ssl)(?:{_WORDS})(?:$|[_.-])")
"""Environment variables, and parameters of an address, of such names hold a secret."""
_FOLDERS = ("PWD", "OLDPWD")
"""Environment variables of a shell that hold its folders: no passwords, whatever their names."""
_SHORTEST = 6
"""Characters from which a secret is hidden wherever it stands; a shorter one would be seen in any word."""


def redact(text: str) -> str:
    """The text with `***` for every secret of the environment, and for user and password of its addresses."""
    for secret, instead in _secrets():
        text = text.replace(secret, instead)
    return text


def without_secrets(address: str) -> str:
    """An address with `***` for user and password and for each parameter that holds a secret."""
    parts = urlsplit(address)
    user, at, _ = parts.netloc.rpartition("@")
    hidden = address.replace(f"{user}@", f"{HIDDEN}@", 1) if at else address
    for name, _ in parse_qsl(parts.query):
        if NAMED.search(name):
            hidden = re.sub(rf"({re.escape(name)}=)[^&]*", rf"\1{HIDDEN}", hidden)
    return hidden


def _secrets() -> list[tuple[str, str]]:
    """Each secret with what is shown instead, the longest first, for one may hold another."""
    pairs, values = [], set()
    for name, value in os.environ.items():
        if name in ADDRESSES:
            parts = urlsplit(value)
            user, at, host = parts.netloc.rpartition("@")
            if at:
                pairs.append((parts.netloc, f"{HIDDEN}@{host}"))
                password = user.partition(":")[2]
                values |= {password, unquote(password)}
            values |= {secret for parameter, secret in parse_qsl(parts.query) if NAMED.search(parameter)}
        elif NAMED.search(name) and name not in _FOLDERS:
            values.add(value)
    pairs += [(value, HIDDEN) for value in values if len(value) >= _SHORTEST]
    return sorted(pairs, key=lambda pair: -len(pair[0]))
