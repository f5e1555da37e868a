"""`mail=ADDRESS`: e-mail by SMTP (RFC 5321) through the server in the environment variable KEPIPE_SMTP."""

from __future__ import annotations

import os
import smtplib
import socket
import ssl
from contextlib import contextmanager
from email.message import EmailMessage
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from kepipe.config import ConfigError
from kepipe.flow.notices.base import Channel, DeliveryError, Notice, encode, headline
from kepipe.redaction import without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVER = "KEPIPE_SMTP"
"""Environment variable: `smtp://user:password@host:587`, or `smtps://…` for implicit TLS; credentials are only sent
over TLS. Default: `smtp://localhost:25`."""
SENDER = "KEPIPE_MAIL_FROM"
"""Environment variable with the sender's address. Default: kepipe@ and the host name."""
TIMEOUT = 20.0
"""Seconds to wait for the server."""


def mail(address: str) -> Channel:
    """Sends e-mail. Raises ConfigError for an invalid address."""
    if "@" not in address or any(sign.isspace() for sign in address):
        raise ConfigError(f"mail {address!r}: expected an address such as ops@example.org")

    def send(notice: Notice) -> None:
        server = os.environ.get(SERVER, "smtp://localhost:25")
        try:
            with _connect(server) as connection:
                connection.send_message(_message(address, notice))
        except smtplib.SMTPResponseException as error:
            reason = f"{without_secrets(server)} answered {error.smtp_code} {error.smtp_error!r}"
            raise DeliveryError(reason, final=error.smtp_code >= 500) from None
        except smtplib.SMTPRecipientsRefused:
            raise DeliveryError(f"{without_secrets(server)} rejected {address}", final=True) from None
        except (OSError, smtplib.SMTPException, ValueError) as error:
            raise DeliveryError(f"{without_secrets(server)}: {error}") from None

    return send


@contextmanager
def _connect(server: str) -> Iterator[smtplib.SMTP]:
    parts = urlsplit(server)
    host, port = parts.hostname or "localhost", parts.port or 0
    context = ssl.create_default_context()
    connection: smtplib.SMTP
    if parts.scheme == "smtps":
        connection = smtplib.SMTP_SSL(host, port, timeout=TIMEOUT, context=context)
    else:
        connection = smtplib.SMTP(host, port, timeout=TIMEOUT)
    with connection:
        if parts.scheme != "smtps" and parts.username:
            connection.starttls(context=context)
        if parts.username:
            connection.login(unquote(parts.username), unquote(parts.password or ""))
        yield connection


def _message(address: str, notice: Notice) -> EmailMessage:
    message = EmailMessage()
    message["Subject"] = " ".join(f"kepipe: {headline(notice)}".split())[:200]
    message["From"] = os.environ.get(SENDER) or f"kepipe@{socket.getfqdn()}"
    message["To"] = address
    message["Message-ID"] = f"<{notice['id']}@kepipe>"
    lines = [
        headline(notice),
        f"pipeline: {notice['pipeline']}",
        f"log: {notice['log']}",
        "",
        *notice["said"],
    ]
    message.set_content("\n".join(lines))
    message.add_attachment(encode(notice), maintype="application", subtype="json", filename="notice.json")
    return message
