"""A folder's signature by real keys: every change is detected, and the format is sigstore's."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from kepipe.signing import SIGNATURE, sign, verify

pytest.importorskip("model_signing")


def keys(folder: Path, name: str) -> tuple[Path, Path]:
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    private, public = folder / f"{name}.key", folder / f"{name}.pub"
    private.write_bytes(key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()))
    public.write_bytes(
        key.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)
    )
    return private, public


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "graph").mkdir(parents=True)
    for name in ("config.json", "model.safetensors", "graph/ids.utf8"):
        (folder / name).write_text(f"the content of {name}")
    return folder


def test_signed_folder_is_verified_and_changes_are_detected(model: Path, tmp_path: Path) -> None:
    private, public = keys(tmp_path, "ours")
    assert sign(model, private) == model / SIGNATURE
    assert verify(model, public) == 3
    (tmp_path / "newest").symlink_to(model)
    assert verify(tmp_path / "newest", public) == 3
    file = model / "graph" / "ids.utf8"
    content = file.read_text()
    file.write_text(content.replace("the", "The"))
    with pytest.raises(ValueError, match=r"not verified by .*ids\.utf8"):
        verify(model, public)
    file.unlink()
    with pytest.raises(ValueError, match=r"not verified by .*ids\.utf8"):
        verify(model, public)
    file.write_text(content)
    (model / "evil.py").write_text("")
    with pytest.raises(ValueError, match=r"not verified by .*evil\.py"):
        verify(model, public)
    (model / "evil.py").unlink()
    assert verify(model, public) == 3


def test_signature_by_another_key_is_rejected(model: Path, tmp_path: Path) -> None:
    private, public = keys(tmp_path, "ours")
    with pytest.raises(ValueError, match="not signed"):
        verify(model, public)
    sign(model, keys(tmp_path, "others")[0])
    with pytest.raises(ValueError, match="not verified by"):
        verify(model, public)
    sign(model, private)
    bundle = json.loads((model / SIGNATURE).read_text())
    (model / SIGNATURE).write_text(json.dumps({**bundle, "dsseEnvelope": {}}))
    with pytest.raises(ValueError, match="not verified by"):
        verify(model, public)
    (model / SIGNATURE).write_text("{")
    with pytest.raises(ValueError, match="not verified by"):
        verify(model, public)
    with pytest.raises(ValueError, match="cannot be signed with"):
        sign(model, public)


def test_model_signing_command_verifies_the_signature(model: Path, tmp_path: Path) -> None:
    private, public = keys(tmp_path, "ours")
    sign(model, private)
    bundle = json.loads((model / SIGNATURE).read_text())
    assert bundle["mediaType"].startswith("application/vnd.dev.sigstore.bundle")
    words = ("verify", "key", str(model), "--signature", str(model / SIGNATURE), "--public_key", str(public))
    words += ("--ignore-paths", str(model / SIGNATURE))
    done = subprocess.run([sys.executable, "-m", "model_signing", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
