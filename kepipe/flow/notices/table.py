"""The table of notification channels. A new channel is one module and one row here."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from kepipe.config import ConfigError, suggest
from kepipe.flow.notices.base import Channel
from kepipe.flow.notices.command import command_channel
from kepipe.flow.notices.mail import mail
from kepipe.flow.notices.webhook import webhook

CHANNELS: Mapping[str, Callable[[str], Channel]] = {
    "webhook": webhook,
    "command": command_channel,
    "mail": mail,
}
"""Name → function from an address to a channel."""


def channel_for(target: str) -> Channel:
    """The channel of `NAME=ADDRESS`. Raises ConfigError for an unknown name or an invalid address."""
    name, _, address = target.partition("=")
    if name not in CHANNELS or not address:
        raise ConfigError(
            f"notify {name!r}: expected {', '.join(f'{name}=…' for name in CHANNELS)}{suggest(name, list(CHANNELS))}"
        )
    return CHANNELS[name](address)
