"""`kepipe sign` and `kepipe verify`: sign a model folder, and verify the signature."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kepipe.terminal import echo

FolderArgument = Annotated[Path, typer.Argument(help="A model's folder.", show_default=False)]


def sign(
    folder: FolderArgument,
    key: Annotated[Path, typer.Option(help="The private key (elliptic curve), as PEM.", show_default=False)],
) -> None:
    """Sign every file of a model folder, in OpenSSF Model Signing's format, offline."""
    from kepipe import signing

    echo(f"{signing.sign(folder, key)}: written")


def verify(
    folder: FolderArgument,
    key: Annotated[Path, typer.Option(help="The signer's public key, as PEM.", show_default=False)],
) -> None:
    """Verify that a folder holds exactly the files that were signed, unchanged."""
    from kepipe import signing

    echo(f"{folder}: {signing.verify(folder, key)} files match the signature")
