"""LSTMs as ONNX's own operator: torch would unroll one token by token, for a fixed row length."""

from __future__ import annotations

import copy
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

ModuleT = TypeVar("ModuleT", bound=nn.Module)


class OnnxLSTM(nn.Module):
    """A unidirectional `nn.LSTM` layer that is exported as the ONNX operator `LSTM`.

    Its gates are in the order input, output, forget, candidate; torch's are in the order input, forget, candidate,
    output.
    """

    def __init__(self, lstm: nn.LSTM) -> None:
        super().__init__()
        assert lstm.num_layers == 1, "a layer each"
        assert not lstm.bidirectional, "a direction each"
        assert lstm.batch_first, "rows first"
        self.hidden = lstm.hidden_size
        names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
        from_input, from_output, *biases = (_reordered(lstm.get_parameter(name)) for name in names)
        self.register_buffer("from_input", from_input[None])
        self.register_buffer("from_output", from_output[None])
        self.register_buffer("bias", torch.cat(biases)[None])

    def forward(
        self, x_BTD: Tensor, before: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """As `nn.LSTM`: [B, T, hidden], and h and c after the last token, [1, B, hidden] each."""
        rows, length, _ = x_BTD.shape
        weights = [self.get_buffer(name) for name in ("from_input", "from_output", "bias")]
        state = [] if before is None else [None, *before]
        ends = (1, rows, self.hidden)
        operator: Any = torch.onnx.ops.symbolic_multi_out
        out_T1BD, h_1BD, c_1BD = operator(
            "LSTM",
            [x_BTD.transpose(0, 1), *weights, *state],
            {"hidden_size": self.hidden},
            dtypes=[x_BTD.dtype] * 3,
            shapes=[(length, 1, rows, self.hidden), ends, ends],
            version=14,
        )
        return out_T1BD.squeeze(1).transpose(0, 1), (h_1BD, c_1BD)


def with_onnx_lstms(model: ModuleT) -> ModuleT:
    """A copy of a model whose `nn.LSTM` are replaced by `OnnxLSTM`; other weights are shared with the model."""
    memo: dict[int, Any] = {id(weight): weight for weight in model.parameters()}
    copied = copy.deepcopy(model, memo)
    for module in list(copied.modules()):
        for name, part in module.named_children():
            if isinstance(part, nn.LSTM):
                setattr(module, name, OnnxLSTM(part))
    return copied


def _reordered(weight: Tensor) -> Tensor:
    """The gates in ONNX's order."""
    enter, forget, candidate, leave = weight.detach().chunk(4)
    return torch.cat([enter, leave, forget, candidate])
