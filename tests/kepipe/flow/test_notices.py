"""Notifications to local servers (HTTP, SMTP) and to a program."""

from __future__ import annotations

import email.policy
import hashlib
import hmac
import json
import smtplib
import socketserver
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from kepipe.config import ConfigError
from kepipe.flow.history import Result
from kepipe.flow.notices.outbox import Outbox, notice_of
from kepipe.flow.notices.table import channel_for
from kepipe.flow.schedule import Schedule
from kepipe.flow.triggers.cron import Cron

SCHEDULE = Schedule(pipeline="/texts/moons.yaml", when=Cron(cron="@daily"))


class Hooks(HTTPServer):
    """Receives notices; answers with the given status codes, then with 200."""

    def __init__(self, *codes: int) -> None:
        super().__init__(("127.0.0.1", 0), _Hook)
        self.codes, self.taken = list(codes), list[tuple[dict[str, str], bytes]]()

    @property
    def address(self) -> str:
        return f"http://user:pass-word@127.0.0.1:{self.server_port}/kepipe?token=geheim"


class _Hook(BaseHTTPRequestHandler):
    server: Hooks

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.append((dict(self.headers), body))
        code = self.server.codes.pop(0) if self.server.codes else 200
        self.send_response(code)
        if code == 302:
            self.send_header("Location", "/elsewhere")
        self.end_headers()

    def do_GET(self) -> None:
        self.do_POST()

    def log_message(self, *_: Any) -> None:
        pass


class Mails(socketserver.TCPServer):
    """An SMTP server (RFC 5321) as far as a client without TLS needs it; refuses some recipients."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Mail)
        self.taken = list[EmailMessage]()


class _Mail(socketserver.StreamRequestHandler):
    server: Mails

    def handle(self) -> None:
        self.say("220 ready")
        for raw in self.rfile:
            line = raw.decode().strip()
            word = line[:4].upper()
            if word in ("EHLO", "HELO"):
                self.say("250 hello")
            elif word == "RCPT" and "nobody@" in line:
                self.say("550 no such user")
            elif word == "DATA":
                self.say("354 go on")
                lines = iter(lambda: self.rfile.readline(), b".\r\n")
                content = b"".join(line.removeprefix(b".") for line in lines)
                message = email.message_from_bytes(content, policy=email.policy.default)
                assert isinstance(message, EmailMessage)
                self.server.taken.append(message)
                self.say("250 taken")
            elif word == "QUIT":
                self.say("221 bye")
                return
            else:
                self.say("250 fine")

    def say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


@contextmanager
def running(server: socketserver.TCPServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def result(tmp_path: Path) -> Result:
    log = tmp_path / "run.log"
    log.write_text("working\n\nmodels: moons version 2 is champion: better\n")
    return Result(1_800_000_000.0, 12.5, "finished", 0, str(log), "2 new: io.txt, titan.txt", 2)


def waiting(space: Path) -> list[Path]:
    return sorted((space / "schedule" / "outbox").glob("*.json"))


def test_webhook_notice_is_signed_and_retried(
    tmp_path: Path, result: Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEPIPE_WEBHOOK_SECRET", "open-sesame")
    messages: list[str] = []
    hooks = Hooks(503, 429)
    with running(hooks):
        Outbox(tmp_path, [f"webhook={hooks.address}"], messages.append, delays=(0.0, 0.0))(
            "nightly", SCHEDULE, result
        )
    assert len(hooks.taken) == 3
    assert len({headers["X-Kepipe-Delivery"] for headers, _ in hooks.taken}) == 1
    headers, body = hooks.taken[-1]
    record = json.loads(body)
    assert headers["Authorization"] == f"Basic {b64encode(b'user:pass-word').decode()}"
    assert (record["schedule"], record["outcome"], record["attempts"]) == ("nightly", "finished", 2)
    assert record["reason"] == "2 new: io.txt, titan.txt"
    assert record["said"] == ["working", "models: moons version 2 is champion: better"]
    signed = headers["X-Kepipe-Timestamp"].encode() + b"." + body
    expected = hmac.new(b"open-sesame", signed, hashlib.sha256).hexdigest()
    assert headers["X-Kepipe-Signature"] == f"sha256={expected}"
    assert (messages, waiting(tmp_path)) == ([], [])


def test_notice_to_an_unreachable_receiver_is_sent_with_the_next(tmp_path: Path, result: Result) -> None:
    messages: list[str] = []
    hooks = Hooks()
    outbox = Outbox(tmp_path, [f"webhook={hooks.address}"], messages.append, delays=())
    hooks.socket.close()
    outbox("nightly", SCHEDULE, result)
    (line,) = messages
    assert "will be retried with the next notice" in line
    assert "pass-word" not in line
    assert "geheim" not in line
    assert len(waiting(tmp_path)) == 1
    back = Hooks()
    for file in waiting(tmp_path):  # the same receiver, at the port that it has now
        file.write_text(file.read_text().replace(str(hooks.server_port), str(back.server_port)))
    with running(back):
        Outbox(tmp_path, [f"webhook={back.address}"], messages.append)("nightly", SCHEDULE, result)
    assert len(back.taken) == 2
    assert waiting(tmp_path) == []


def test_notice_is_sent_again_after_every_error_that_may_pass(tmp_path: Path, result: Result) -> None:
    messages: list[str] = []
    hooks = Hooks(408, 409, 425, 429, 500)
    with running(hooks):
        Outbox(tmp_path, [f"webhook={hooks.address}"], messages.append, delays=(0.0,) * 5)(
            "nightly", SCHEDULE, result
        )
    assert (len(hooks.taken), messages, waiting(tmp_path)) == (6, [], [])


@pytest.mark.parametrize(("days", "is_kept"), [(6.99, True), (7.01, False)])
def test_undelivered_notice_is_kept_for_a_week(tmp_path: Path, days: float, is_kept: bool) -> None:
    messages: list[str] = []
    hooks = Hooks()
    hooks.server_close()
    outbox = Outbox(tmp_path, [f"webhook={hooks.address}"], messages.append, delays=())
    outbox("nightly", SCHEDULE, Result(time.time() - days * 24 * 3600, 1.0, "failed"))
    assert len(waiting(tmp_path)) == is_kept
    assert messages[0].endswith("will be retried with the next notice" if is_kept else "; dropped")


def test_notice_has_the_last_lines_of_the_output(tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    log.write_text("".join(f"line {number}\n\n" for number in range(12)))
    notice = notice_of("nightly", SCHEDULE, Result(1.0, 2.0, "failed", log=str(log)))
    assert notice["said"] == [f"line {number}" for number in range(4, 12)]
    log.write_text("a" * 4096 + "b" * 8192)
    assert notice_of("nightly", SCHEDULE, Result(1.0, 2.0, "failed", log=str(log)))["said"] == ["b" * 8192]
    for missing in ("", str(tmp_path / "none")):
        assert notice_of("nightly", SCHEDULE, Result(1.0, 2.0, "failed", log=missing))["said"] == []


class Connection(smtplib.SMTP):
    """Records what is asked of a mail server, which is not reached."""

    asked: ClassVar[list[object]] = []

    def __init__(self, host: str, port: int, **options: Any) -> None:
        self.asked.append((type(self).__name__, host, port))
        self.sock = None

    def starttls(self, **_: Any) -> Any:
        self.asked.append("starttls")

    def login(self, user: str, password: str, **_: Any) -> Any:
        self.asked.append((user, password))

    def send_message(self, message: Any, *_: Any, **__: Any) -> Any:
        self.asked.append(message)


class SecureConnection(Connection):
    """The same over TLS."""


@pytest.mark.parametrize(
    ("server", "asked"),
    [
        (None, [("Connection", "localhost", 25)]),
        ("smtp://mail.example.org", [("Connection", "mail.example.org", 0)]),
        ("smtp://", [("Connection", "localhost", 0)]),
        ("smtps://mail.example.org:465", [("SecureConnection", "mail.example.org", 465)]),
        ("smtps://me:a%40b@mail:465", [("SecureConnection", "mail", 465), ("me", "a@b")]),
        ("smtp://me@mail:587", [("Connection", "mail", 587), "starttls", ("me", "")]),
    ],
)
def test_mail_is_sent_over_tls_before_credentials_are(
    monkeypatch: pytest.MonkeyPatch, server: str | None, asked: list[object]
) -> None:
    """Port 0 is the library's default. Without a sender's address the host's name is used."""
    monkeypatch.setattr(smtplib, "SMTP", Connection)
    monkeypatch.setattr(smtplib, "SMTP_SSL", SecureConnection)
    monkeypatch.setattr(Connection, "asked", [])
    monkeypatch.delenv("KEPIPE_MAIL_FROM", raising=False)
    monkeypatch.delenv("KEPIPE_SMTP", raising=False)
    if server is not None:
        monkeypatch.setenv("KEPIPE_SMTP", server)
    failed = Result(1.0, 2.0, "failed", reason="x" * 300)
    channel_for("mail=ops@example.org")(notice_of("nightly", SCHEDULE, failed))
    *before, message = Connection.asked
    assert before == asked
    assert isinstance(message, EmailMessage)
    assert message["From"].startswith("kepipe@")
    assert len(message["From"]) > len("kepipe@")
    assert len(message["Subject"]) == 200


@pytest.mark.parametrize("code", [302, 400, 404])
def test_rejected_notice_is_not_retried(tmp_path: Path, result: Result, code: int) -> None:
    messages: list[str] = []
    hooks = Hooks(code)
    with running(hooks):
        Outbox(tmp_path, [f"webhook={hooks.address}"], messages.append)("nightly", SCHEDULE, result)
    assert len(hooks.taken) == 1
    assert f"answered {code}; dropped" in messages[0]
    assert waiting(tmp_path) == []


def test_notices_are_sent_only_for_the_selected_outcomes(tmp_path: Path, result: Result) -> None:
    hooks = Hooks()
    with running(hooks):
        outbox = Outbox(tmp_path, [f"webhook={hooks.address}"], print, outcomes=["failed"])
        outbox("nightly", SCHEDULE, result)
        assert hooks.taken == []
        outbox("nightly", SCHEDULE, Result(0.0, 1.0, "failed"))
    assert [json.loads(body)["outcome"] for _, body in hooks.taken] == ["failed"]


def test_outbox_without_targets_sends_and_keeps_nothing(tmp_path: Path, result: Result) -> None:
    Outbox(tmp_path, [], pytest.fail)("nightly", SCHEDULE, result)
    assert waiting(tmp_path) == []


def test_outbox_file_cannot_add_a_notification_target(tmp_path: Path, result: Result) -> None:
    hooks, mark = Hooks(), tmp_path / "ran"
    folder = tmp_path / "schedule" / "outbox"
    folder.mkdir(parents=True)
    (folder / "a.json").write_text(json.dumps({"target": f"command=touch {mark}", "notice": {}}))
    (folder / "b.json").write_text("[1")
    with running(hooks):
        Outbox(tmp_path, [f"webhook={hooks.address}"], print).send()
    assert (hooks.taken, mark.exists(), waiting(tmp_path)) == ([], False, [])


def test_mail_notice_is_delivered_and_rejected_recipient_reported(
    tmp_path: Path, result: Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages: list[str] = []
    mails = Mails()
    monkeypatch.setenv("KEPIPE_SMTP", f"smtp://127.0.0.1:{mails.server_address[1]}")
    monkeypatch.setenv("KEPIPE_MAIL_FROM", "kepipe@example.org")
    with running(mails):
        targets = ["mail=ops@example.org", "mail=nobody@example.org"]
        Outbox(tmp_path, targets, messages.append)("nightly", SCHEDULE, result)
    (message,) = mails.taken
    assert message["To"] == "ops@example.org"
    assert message["Subject"] == "kepipe: nightly finished after 12 s (2 new: io.txt, titan.txt)"
    plain = message.get_body()
    assert plain is not None
    assert "moons version 2 is champion" in plain.get_content()
    (attached,) = message.iter_attachments()
    assert json.loads(attached.get_content())["schedule"] == "nightly"
    (line,) = messages
    assert "rejected nobody@example.org; dropped" in line


def test_notice_command_runs_without_a_shell(tmp_path: Path, result: Result) -> None:
    messages: list[str] = []
    take = tmp_path / "take.py"
    take.write_text("import sys\nopen(sys.argv[1], 'wb').write(sys.stdin.buffer.read())")
    target = f"command={sys.executable} {take} '{tmp_path}/got;touch x'"
    Outbox(tmp_path, [target], messages.append)("nightly", SCHEDULE, result)
    assert json.loads((tmp_path / "got;touch x").read_text())["outcome"] == "finished"
    take.write_text("import sys\nsys.exit('a\\nb\\nthe pager is off')")
    Outbox(tmp_path, [target], messages.append, delays=())("nightly", SCHEDULE, result)
    assert (
        f"not delivered: {sys.executable} exited with 1: the pager is off; will be retried with the next notice"
        in messages[0]
    )


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("webhook=file:///etc/passwd", "expected a URL https://"),
        ("webhook=file://host/etc/passwd", "expected a URL https://"),
        ("webhook=https:///path", "expected a URL https://"),
        ("mail=nobody", "expected an address such as"),
        ("mail=no body@example.org", "expected an address such as"),
        ("command=", "expected webhook=…, command=…, mail=…"),
        ("command=  ", "expected a program and its arguments"),
        ("command='a", "No closing quotation"),
        ("fax=123", "notify 'fax'"),
    ],
)
def test_invalid_notification_target_is_rejected(target: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        channel_for(target)
