"""Secrets of the environment are redacted; other text stays unchanged."""

from __future__ import annotations

import pytest

from kepipe.redaction import redact, without_secrets

URI = "https://alice:p%40ss-w0rd@mlflow.example:5000/api?token=abcdef123&page=2"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", URI)
    monkeypatch.setenv("HF_TOKEN", "hf_0123456789")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "aws/secret+key")
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "disabled")
    monkeypatch.setenv("SHORT_PASSWORD", "a")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            f"at {URI}: refused",
            "at https://***@mlflow.example:5000/api?token=***&page=2: refused",
        ),
        ("alice:p%40ss-w0rd@mlflow.example:5000", "***@mlflow.example:5000"),
        ("wrong password p@ss-w0rd", "wrong password ***"),
        ("header hf_0123456789, key aws/secret+key", "header ***, key ***"),
        ("disabled, a, alice, page=2", "disabled, a, alice, page=2"),
        (
            "the text http://bob:pw@host.example is a user's own",
            "the text http://bob:pw@host.example is a user's own",
        ),
    ],
)
def test_secrets_of_the_environment_are_redacted(text: str, shown: str) -> None:
    assert redact(text) == shown


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        (
            "postgresql://u:a@b@db:5432/x?sslpassword=1&sslmode=f",
            "postgresql://***@db:5432/x?sslpassword=***&sslmode=f",
        ),
        ("mysql://u:a@b@db/x?password=1&ssl-key=f", "mysql://***@db/x?password=***&ssl-key=***"),
        ("https://token@host", "https://***@host"),
        ("sqlite:////tmp/a@b/mlflow.db", "sqlite:////tmp/a@b/mlflow.db"),
        ("", ""),
    ],
)
def test_redacted_address_keeps_its_host(address: str, shown: str) -> None:
    assert without_secrets(address) == shown


def test_current_folder_is_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PWD", "OLDPWD"):
        monkeypatch.setenv(name, "/srv/project")
    assert redact("/srv/project/report.html") == "/srv/project/report.html"
    monkeypatch.setenv("DB_PWD", "correct horse")
    assert redact("a correct horse") == "a ***"
