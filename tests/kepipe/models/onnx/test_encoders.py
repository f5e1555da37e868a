"""Every family that is trained by gradients, as an ONNX graph: onnxruntime gives the model's outputs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from kepipe.models.assemble import assemble
from kepipe.models.base import Base, build
from kepipe.models.config import FusionConfig
from kepipe.models.families import FAMILIES
from kepipe.models.networks.families import NETWORKS
from kepipe.models.onnx.encoders import EncoderGraph, network_graph, transformer_graph
from kepipe.models.onnx.graph import GraphModule, write_graph
from kepipe.models.onnx.lstm import OnnxLSTM, with_onnx_lstms
from kepipe.models.static.config import StaticConfig
from kepipe.models.static.encoder import StaticEncoder
from kepipe.models.transformer import Transformer
from tests.support.networks import VOCABULARY, network
from tests.support.onnx import largest_difference, random_inputs, run

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

NETWORK_SETTINGS = {"bilstm": {"family": "lstm", "bidirectional": True, "layers": 2}, "cnn": {"layers": 2}}


def transformer(family: str, vocabulary: int = VOCABULARY) -> Transformer:
    """Every weight random, biases and norms too."""
    model = build(Base(family=family, layers=1, hidden=16, heads=2), vocabulary, 0)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator), alpha=0.2)
    return model.eval()


def static() -> StaticEncoder:
    model = StaticEncoder(StaticConfig(family="glove", vocabulary=VOCABULARY, hidden=4, special=(0, 1, 2)))
    with torch.no_grad():
        model.tokens.weight.normal_(generator=torch.Generator().manual_seed(0))
    return model.eval()


def graph_of(name: str) -> GraphModule:
    if name == "static":
        return EncoderGraph(static())
    if name in FAMILIES:
        return transformer_graph(transformer(name))
    settings = {"family": name, **NETWORK_SETTINGS.get(name, {})}
    if "xl" in name:
        settings["layers"] = 1
    return network_graph(network(**settings))


@pytest.mark.parametrize("name", [*FAMILIES, *NETWORKS, "bilstm", "static"])
def test_onnx_graph_equals_the_model(name: str, tmp_path: Path) -> None:
    graph = graph_of(name)
    write_graph(tmp_path / "model.onnx", graph)
    assert largest_difference(tmp_path / "model.onnx", graph, VOCABULARY) < 1e-4
    inputs = random_inputs(graph, VOCABULARY, (4, 8))
    before = run(tmp_path / "model.onnx", inputs)
    inputs["input_ids"][0, 4:] = (inputs["input_ids"][0, 4:] + 1) % VOCABULARY
    after = run(tmp_path / "model.onnx", inputs)
    for port in graph.outputs:
        there = slice(4) if port.axes[:2] == ("batch", "length") else slice(None)
        assert (before[port.name][0, there] == after[port.name][0, there]).all(), "padding is read"
    made = onnx.load(tmp_path / "model.onnx")
    onnx.checker.check_model(made)
    for port, value in zip(
        [*graph.inputs, *graph.outputs], [*made.graph.input, *made.graph.output], strict=True
    ):
        sizes = [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]
        assert (value.name, sizes) == (port.name, list(port.axes))
    assert str(Path(__file__).parents[4]) not in str(made), "paths of the machine that made it"


def test_onnx_conversion_keeps_the_model_unchanged() -> None:
    model = network("lstm")
    copied = with_onnx_lstms(model)
    assert sum(isinstance(part, OnnxLSTM) for part in copied.modules()) == 1
    assert not any(isinstance(part, OnnxLSTM) for part in model.modules())
    assert copied.tokens.weight is model.tokens.weight


def test_onnx_export_of_fused_models_is_rejected() -> None:
    fusion = FusionConfig(first=1, hidden=8, heads=2)
    with pytest.raises(ValueError, match="fuse entity vectors"):
        transformer_graph(assemble(replace(transformer("bert").config, encoder_layers=2, fusion=fusion)))


def test_missing_onnx_packages_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnxscript", None)
    with pytest.raises(ValueError, match=r"pip install kepipe\[onnx\]"):
        write_graph(tmp_path / "model.onnx", network_graph(network("nnlm")))
