"""A store client that fails at a chosen call."""

from __future__ import annotations

from typing import Any


class CutError(BaseException):
    """The delivering process is killed here."""


class Frail:
    """A client that fails right after the call of a given number, or right before it."""

    def __init__(self, client: Any, calls: int, before: bool) -> None:
        self._client, self.left, self._before = client, calls, before

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._client, name)

        def call(*arguments: Any, **options: Any) -> Any:
            self.left -= 1
            if self.left == 0 and self._before:
                raise CutError
            result = real(*arguments, **options)
            if self.left == 0:
                raise CutError
            return result

        return call
