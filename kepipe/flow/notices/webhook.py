"""`webhook=URL`: the notice as JSON in a signed POST request.

`X-Kepipe-Signature: sha256=H` is the hexadecimal HMAC-SHA256 (RFC 2104) of `TIMESTAMP.BODY` with the secret in the
environment variable KEPIPE_WEBHOOK_SECRET; TIMESTAMP is the header `X-Kepipe-Timestamp` (Unix seconds), so that a
receiver can reject replays. `X-Kepipe-Delivery` is the notice's id; a notice may be delivered more than once.
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
from kepipe.flow.notices.base import Channel, DeliveryError, Notice, encode
from kepipe.redaction import without_secrets

SECRET = "KEPIPE_WEBHOOK_SECRET"
"""Environment variable with the secret; if unset, requests are not signed."""
TIMEOUT = 10.0
"""Seconds to wait for the receiver's response."""
RETRYABLE = (408, 409, 425, 429)
"""HTTP client errors for which repeating the same request may succeed."""


def webhook(address: str) -> Channel:
    """Sends POST requests. Raises ConfigError for an invalid URL."""
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"webhook {without_secrets(address)}: expected a URL https://… or http://…")
    user, _, host = parts.netloc.rpartition("@")
    url = urlunsplit(parts._replace(netloc=host))

    def send(notice: Notice) -> None:
        body = encode(notice)
        request = urllib.request.Request(url, body, _headers(notice, body, user), method="POST")
        try:
            with _opener.open(request, timeout=TIMEOUT) as response:
                response.read(1)
        except urllib.error.HTTPError as error:
            final = error.code < 500 and error.code not in RETRYABLE
            raise DeliveryError(f"{without_secrets(address)} answered {error.code}", final=final) from None
        except (OSError, HTTPException) as error:
            raise DeliveryError(f"{without_secrets(address)}: {error}") from None

    return send


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """Value of the signature header for a body."""
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
    """A redirect would turn the POST into a GET to a URL that the user did not configure."""

    def redirect_request(self, *_: Any) -> None:
        return None


_opener = urllib.request.build_opener(_NoRedirects)
