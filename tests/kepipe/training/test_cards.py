"""GPUs by their driver's name, and the defaults that training chooses on them."""

from __future__ import annotations

import re

import pytest
import torch

from kepipe.training import distributed, throughput
from kepipe.training.cards import CARDS, find_card
from kepipe.training.distributed import compiles, set_flex_attention
from tests.support.stateful_lstm import StatefulLSTM
from tests.support.toy_training import settings, tiny

NAMES = {
    "NVIDIA H100 80GB HBM3": "H100",
    "NVIDIA H100 PCIe": "H100 PCIe",
    "NVIDIA H100 NVL": "H100 NVL",
    "NVIDIA H200": "H200",
    "NVIDIA H200 NVL": "H200 NVL",
    "NVIDIA B200": "B200",
    "NVIDIA A100-SXM4-80GB": "A100",
    "NVIDIA A10": "A10",
    "NVIDIA L4": "L4",
    "NVIDIA L40S": "L40S",
    "Tesla V100-SXM2-16GB": "V100-SXM2",
    "Tesla V100-PCIE-16GB": "V100-PCIE",
    "Tesla T4": "T4",
    "NVIDIA GeForce RTX 4090": "RTX 4090",
    "NVIDIA GeForce RTX 3090": "RTX 3090",
    "NVIDIA GeForce RTX 5090": "RTX 5090",
    "NVIDIA RTX A6000": "RTX A6000",
}
OTHERS = (
    "NVIDIA A100-SXM4-40GB MIG 3g.20gb", "NVIDIA GeForce GTX 1080", "NVIDIA A10G", "NVIDIA GeForce RTX 3090 Ti",
    "NVIDIA GeForce RTX 4090 D", "NVIDIA GeForce RTX 4090 Laptop GPU", "Tesla V100-FHHL-16GB", "Tesla V100S-PCIE-32GB",
    "NVIDIA GH200 480GB", "GRID A100-40C",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_gpu_is_found_by_driver_name(name: str) -> None:
    card = find_card(name)
    assert card is not None
    assert card.name == NAMES[name]


def test_gpu_peak_matches_its_source() -> None:
    """The figure of the source, halved if it holds only with sparsity."""
    for card in CARDS:
        figures = re.search(r": ([\d.,]+)(?: (TFLOPS|TF|PFLOPS))?(/| with sparsity)?", card.source)
        assert figures is not None, card
        figure, unit, more = figures.groups()
        said = float(figure.replace(",", "")) * (1e15 if unit == "PFLOPS" else 1e12)
        assert card.peak == (said / 2 if more == " with sparsity" else said), card


def test_gpu_names_that_contain_others_come_first() -> None:
    names = [card.name for card in CARDS]
    assert all(one not in other for number, one in enumerate(names) for other in names[number + 1 :])


def test_unknown_or_partitioned_gpu_has_no_published_peak(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their peak is measured; for a known GPU in 16 bits it is the published one."""
    assert [name for name in OTHERS if find_card(name)] == []
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _device: "Tesla T4")
    monkeypatch.setattr(throughput, "matmul_peak", lambda _device, _kind: 1.0)
    cuda = torch.device("cuda:0")
    assert throughput.peak(cuda, torch.float16) == next(card.peak for card in CARDS if card.name == "T4")
    assert throughput.peak(cuda, torch.float32) == 1.0
    assert throughput.peak(torch.device("cpu"), torch.bfloat16) == 1.0


def test_layers_are_compiled_on_a_gpu_for_long_runs_only(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu, cuda, model = torch.device("cpu"), torch.device("cuda:0"), tiny()
    monkeypatch.setattr(distributed, "has_compiler", lambda: True)
    assert compiles(model, settings(steps=500), cuda)
    assert compiles(model, settings(budget="10m"), cuda)
    assert not compiles(model, settings(steps=499), cuda)
    assert not compiles(model, settings(budget="9m"), cuda)
    assert not compiles(model, settings(steps=500), cpu)
    assert not compiles(StatefulLSTM(), settings(steps=500), cuda)
    assert not compiles(model, settings(steps=500, compile=False), cuda)
    assert compiles(model, settings(steps=1, compile=True), cpu)
    monkeypatch.setattr(distributed, "has_compiler", lambda: False)
    assert not compiles(model, settings(steps=500), cuda)


def test_flex_attention_is_chosen_on_a_gpu_without_dropout(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not with dropout; if set explicitly, an error."""
    with_dropout, without = tiny(0.1), tiny(0.0)
    for device, expected in (("cpu", "never"), ("cuda:0", "packed")):
        monkeypatch.setattr(torch.Tensor, "is_cuda", property(lambda _: device != "cpu"))  # noqa: B023
        for model in (with_dropout, without):
            set_flex_attention(model, settings(), torch.device(device))
        assert (with_dropout.flex, without.flex) == ("never", expected)
    set_flex_attention(without, settings(flex_attention=True), torch.device("cuda:0"))
    assert without.flex == "always"
    with pytest.raises(ValueError, match=r"dropout 0, not 0\.1"):
        set_flex_attention(with_dropout, settings(flex_attention=True), torch.device("cuda:0"))
