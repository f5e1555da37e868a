"""What `kepipe doctor` says of a compiler."""

import pytest

from kepipe.cli.doctor import _compiler


def test_a_compiler_is_found_or_said_how_to_get(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    missing = _compiler()
    assert missing.good, "only `compile: true` needs one"
    assert missing.found == "no C++ compiler: `no-such-compiler` is not here"
    assert missing.advice.startswith("install it (Debian: apt-get install g++)")
    monkeypatch.setenv("CXX", "sh")  # anything that is there
    assert _compiler().found.endswith("/sh; `compile: true` can be set")
