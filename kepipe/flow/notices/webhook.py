"""`webhook=URL`: the notice as JSON by POST, signed.

`X-Kepipe-Signature: sha256=H` is the HMAC-SHA256 (RFC 2104) of `TIMESTAMP.BODY` under the secret of the variable
KEPIPE_WEBHOOK_SECRET, in hex; TIMESTAMP is the header `X-Kepipe-Timestamp`, Unix seconds, so that a receiver can refuse
what is old. `X-Kepipe-Delivery` is the notice's id: the same one may come twice.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import time
import urllib.error
import urllib.request
from base64 import b64encode
from http.client import HTTPException
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from kepipe.config import ConfigError
from kepipe.flow.notices.base import Notice, NotToldError, Way, encode
from kepipe.redaction import without_secrets

SECRET = "KEPIPE_WEBHOOK_SECRET"
"""Environment variable with the secret; without it nothing is signed."""
PATIENCE = 10.0
"""Seconds that a receiver has for its answer."""
PASSING = (408, 409, 425, 429)
"""Client errors of HTTP that may be mended without that the request changes."""


def webhook(address: str) -> Way:
    """Tell by POST. Raises ConfigError for an address of another kind."""
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"webhook {without_secrets(address)}: expected an address https://… or http://…")
    user, _, host = parts.netloc.rpartition("@")
    place = urlunsplit(parts._replace(netloc=host))

    def tell(notice: Notice) -> None:
        body = encode(notice)
        request = urllib.request.Request(place, body, _headers(notice, body, user), method="POST")
        try:
            with _opener.open(request, timeout=PATIENCE) as answer:
                answer.read(1)
        except urllib.error.HTTPError as error:
            final = error.code < 500 and error.code not in PASSING
            raise NotToldError(f"{without_secrets(address)} answers {error.code}", final=final) from None
        except (OSError, HTTPException) as error:
            raise NotToldError(f"{without_secrets(address)}: {error}") from None

    return tell


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """The signature of a body, as the header has it."""
    return f"sha256={hmac.new(secret.encode(), timestamp.encode() + b'.' + body, hashlib.sha256).hexdigest()}"


def _headers(notice: Notice, body: bytes, user: str) -> dict[str, str]:
    timestamp = str(int(time.time()))
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "X-Kepipe-Timestamp": timestamp,
        "X-Kepipe-Delivery": str(notice["id"]),
    }
    if user:  # Basic (RFC 7617)
        headers["Authorization"] = f"Basic {b64encode(unquote(user).encode()).decode()}"
    if secret := os.environ.get(SECRET):
        headers["X-Kepipe-Signature"] = sign(secret, timestamp, body)
    return headers


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect would turn the POST into a GET, at a place that nobody named."""

    def redirect_request(self, *_: Any) -> None:
        return None


_opener = urllib.request.build_opener(_NoRedirects)
