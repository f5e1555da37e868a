"""A model folder's signature in the format of OpenSSF Model Signing: a sigstore bundle with the SHA-256 of every file.

Signed and verified by a pair of elliptic-curve keys, without any network; the package's own command `model_signing`
verifies the same file, and knows certificates and sigstore's keyless signatures besides.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

SIGNATURE = "model.sig"


def sign(folder: Path, private_key: Path) -> Path:
    """Sign all files of a folder; the signature's file in it. Raises ValueError where key or folder are none."""
    signing, hashing = _package("signing"), _package("hashing")
    folder, file = _folder(folder), folder.resolve() / SIGNATURE
    config = signing.Config().set_hashing_config(_digests(hashing, folder))
    try:
        config.use_elliptic_key_signer(private_key=private_key)
        config.sign(folder, file)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{folder}: cannot be signed with {private_key} ({error})") from None
    return file


def verify(folder: Path, public_key: Path) -> int:
    """The number of files of a folder, which are those that were signed, unchanged, and no others.

    Raises ValueError that says what differs, or where the signature is missing or another key's.
    """
    verifying, hashing = _package("verifying"), _package("hashing")
    folder = _folder(folder)
    if not (folder / SIGNATURE).is_file():
        raise ValueError(f"{folder}: not signed (no {SIGNATURE})")
    config = verifying.Config().set_hashing_config(_digests(hashing, folder))
    try:
        config.use_elliptic_key_verifier(public_key=public_key).verify(folder, folder / SIGNATURE)
    except (
        Exception
    ) as error:  # whatever the package, its parsers and its cryptography raise: it is not verified
        raise ValueError(f"{folder}: not verified by {public_key}: {error or type(error).__name__}") from None
    return sum(file.is_file() for file in folder.rglob("*")) - 1


def _folder(folder: Path) -> Path:
    """Where a folder really lies: a stage's newest result is a link."""
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder")
    return folder.resolve()


def _digests(hashing: Any, folder: Path) -> Any:
    return hashing.Config().set_ignored_paths(paths=[folder / SIGNATURE], ignore_git_paths=False)


def _package(module: str) -> Any:
    from importlib import import_module

    try:
        return import_module(f"model_signing.{module}")
    except ModuleNotFoundError as missing:
        if missing.name != "model_signing":
            raise
        raise ValueError("signatures need a package: pip install 'model-signing>=1.1' pyopenssl") from None
