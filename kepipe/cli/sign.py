"""`kepipe sign` and `kepipe verify`: the signature of a model folder that is given to others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kepipe.terminal import echo

FolderArgument = Annotated[Path, typer.Argument(help="A model's folder.", show_default=False)]


def sign(
    folder: FolderArgument,
    key: Annotated[
        Path, typer.Option(help="The private key, an elliptic curve's, as PEM.", show_default=False)
    ],
) -> None:
    """Sign every file of a folder: OpenSSF Model Signing's format, without a network."""
    from kepipe import signing

    echo(f"{signing.sign(folder, key)}: written")


def verify(
    folder: FolderArgument,
    key: Annotated[Path, typer.Option(help="The public key of who signed it, as PEM.", show_default=False)],
) -> None:
    """Say whether a folder's files are those that were signed, unchanged, and no others."""
    from kepipe import signing

    echo(f"{folder}: {signing.verify(folder, key)} files, as they were signed")
