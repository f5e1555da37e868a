"""A store client that fails at a chosen call."""

from __future__ import annotations

from typing import Any


class KilledError(BaseException):
    """Stands for SIGKILL of the delivering process at this point."""


class FailingClient:
    """A client that fails right after the call of a given number, or right before it."""

    def __init__(self, client: Any, calls: int, before: bool) -> None:
        self._client, self.calls_left, self._before = client, calls, before

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._client, name)

        def call(*arguments: Any, **options: Any) -> Any:
            self.calls_left -= 1
            if self.calls_left == 0 and self._before:
                raise KilledError
            result = real(*arguments, **options)
            if self.calls_left == 0:
                raise KilledError
            return result

        return call
