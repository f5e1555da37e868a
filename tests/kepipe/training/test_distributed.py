"""Device, precision and processes of training; how a model is sharded over them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import nn
from torch.testing._internal.distributed.fake_pg import FakeStore

from kepipe.training import launch
from kepipe.training.distributed import (
    ShardedLossModule,
    make_accelerator,
    resolve_precision,
    without_values,
)
from tests.support.toy_training import equal_weights, tiny


@pytest.fixture
def _restored() -> Iterator[None]:
    """Restores the process's state: on the CPU, in full precision."""
    yield
    make_accelerator("fp32", "cpu")


@pytest.mark.usefixtures("_restored")
def test_accelerator_uses_the_configured_device() -> None:
    """The index too. "meta" stands for a GPU, which may not be available."""
    places = [torch.device(name) for name in ("cpu", "meta:1", "cpu")]
    assert [make_accelerator("fp32", str(place)).device for place in places] == places


def test_processes_cannot_share_one_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match=r"device: cuda:1 is one GPU, .* set `device: cuda`"):
        make_accelerator("fp32", "cuda:1")


def test_processes_need_one_gpu_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    launch._check_devices("cuda", 2)
    launch._check_devices("cpu", 64)
    with pytest.raises(ValueError, match=r"processes: 4, but this machine has 2 GPUs: set processes to 2"):
        launch._check_devices("cuda", 4)
    with pytest.raises(ValueError, match=r"`device: cuda:1` is one: set `device: cuda`"):
        launch._check_devices("cuda:1", 2)


CARDS = {"A100": (True, (8, 0), "bf16"), "T4": (False, (7, 5), "fp16"), "P100": (False, (6, 0), "fp32")}


@pytest.mark.parametrize("card", CARDS)
def test_precision_auto_is_a_fast_format_of_the_gpu(card: str, monkeypatch: pytest.MonkeyPatch) -> None:
    native, capability, expected = CARDS[card]
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: native)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: capability)
    assert resolve_precision("auto", "cuda:0") == expected
    assert resolve_precision("tf32", "cuda") == "tf32"
    with pytest.raises(ValueError, match="tf32 needs an NVIDIA GPU; on cpu"):
        resolve_precision("tf32", "cpu")


@pytest.mark.usefixtures("_restored")
def test_fp32_products_are_unrounded_unless_tf32() -> None:
    """Convolutions too, which torch rounds by itself."""
    for precision, matrices, convolutions in (("tf32", "high", True), ("fp32", "highest", False)):
        make_accelerator(precision, "cpu")
        assert torch.get_float32_matmul_precision() == matrices
        assert torch.backends.cudnn.allow_tf32 is convolutions


def test_without_values_copies_to_meta_and_keeps_tied_weights() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = nn.Linear(4, 4, bias=False)
            self.other = nn.Linear(4, 4, bias=False)
            self.other.weight = self.one.weight
            self.register_buffer("mean", torch.ones(4))

    model = Tied()
    copy = without_values(model)  # type: ignore[arg-type]
    assert copy.get_parameter("one.weight") is copy.get_parameter("other.weight")
    assert {value.device.type for value in copy.state_dict().values()} == {"meta"}
    assert {value.device.type for value in model.state_dict().values()} == {"cpu"}


@pytest.fixture
def _first_of_four() -> Iterator[None]:
    """This process as one of four, of which the others do not exist: what would come from them is not filled in."""
    torch.distributed.init_process_group("fake", store=FakeStore(), rank=0, world_size=4)
    yield
    torch.distributed.destroy_process_group()
    make_accelerator("fp32", "cpu")


@pytest.mark.usefixtures("_first_of_four")
def test_fsdp_process_holds_its_share_and_leaves_the_model_unchanged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    group = {
        "WORLD_SIZE": "4",
        "LOCAL_WORLD_SIZE": "4",
        "RANK": "0",
        "LOCAL_RANK": "0",
        "MASTER_PORT": "29500",
    }
    for name, value in group.items():
        monkeypatch.setenv(name, value)
    model, untouched = tiny(), tiny()
    sharded = ShardedLossModule(model, make_accelerator("fp32", "cpu"))
    whole = sum(weight.numel() for weight in model.parameters())
    held = sum(weight.to_local().numel() for weight in sharded.model.parameters())  # type: ignore[operator]
    assert whole / 4 <= held < 0.27 * whole
    assert equal_weights(model, untouched)
    weights = dict(model.named_parameters())
    name, part = next((n, p) for n, p in sharded.model.named_parameters() if n == "tokens.weight")
    assert torch.equal(part.to_local(), weights[name][: len(part.to_local())])  # type: ignore[operator]
