"""`kepipe doctor`: the compiler, and the defaults of training."""

from types import SimpleNamespace

import pytest
import torch

from kepipe.cli.doctor import _compiler, _training


def test_doctor_reports_a_compiler_or_how_to_install_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    missing = _compiler()
    assert missing.good, "only `compile: true` needs one"
    assert missing.found == "no C++ compiler: `no-such-compiler` is not here"
    assert missing.advice.startswith("install it (Debian: apt-get install g++)")
    monkeypatch.setenv("CXX", "sh")  # anything that is there
    assert _compiler().found.endswith("/sh; `compile: true` is supported")


def test_doctor_reports_training_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _training("cpu").startswith("`device: auto` is cpu, `precision: auto` is ")
    assert _training("cpu").endswith("batch_tokens 8,192")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    card = SimpleNamespace(total_memory=80 * 2**30)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _device: card)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: (9, 0))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _device: "NVIDIA H100 80GB HBM3")
    monkeypatch.setenv("CXX", "sh")  # anything that is there
    output = _training("cuda:0")
    assert "is cuda:0, `precision: auto` is bf16" in output
    assert "compiles from 500 steps; packed rows document by document" in output
    assert "peak for MFU 989.5 TFLOP/s" in output
    assert output.endswith("BERT-base fits with about 186,000")
