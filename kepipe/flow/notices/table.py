"""Every way to tell of a firing. A new one is one module and one row here."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from kepipe.config import ConfigError, suggest
from kepipe.flow.notices.base import Way
from kepipe.flow.notices.hook import hook
from kepipe.flow.notices.mail import mail
from kepipe.flow.notices.webhook import webhook

WAYS: Mapping[str, Callable[[str], Way]] = {
    "webhook": webhook,
    "command": hook,
    "mail": mail,
}
"""Name → the way to an address."""


def way_to(target: str) -> Way:
    """The way to `NAME=ADDRESS`. Raises ConfigError for a name that is not in the table, or a bad address."""
    name, _, address = target.partition("=")
    if name not in WAYS or not address:
        raise ConfigError(
            f"notify {name!r}: expected {', '.join(f'{way}=…' for way in WAYS)}{suggest(name, list(WAYS))}"
        )
    return WAYS[name](address)
