"""Checkpoints of the release against a dense implementation of its equations with its own names."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from kepipe.data.batch import Batch
from kepipe.models import folder as own
from kepipe.models.assemble import without_fusion
from kepipe.models.hf import huggingface, thunlp
from kepipe.models.pretrained import from_pretrained

D, E, F_, V, HEADS, ENTITY_HEADS, LAYERS, FIRST = 24, 20, 36, 40, 3, 2, 5, 2
CONFIG = {
    "vocab_size": V, "hidden_size": D, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
    "intermediate_size": F_, "hidden_act": "gelu", "max_position_embeddings": 16, "type_vocab_size": 2,
    "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1, "initializer_range": 0.02,
    "num_attention_heads_ent": ENTITY_HEADS,
}  # fmt: skip
KINDS = ["sim"] * FIRST + ["mix"] + ["norm"] * (LAYERS - FIRST - 1)
WITHOUT_MIX = ["sim"] * FIRST + ["norm"] * (LAYERS - FIRST)


def release(seed: int = 0, kinds: Sequence[str] = KINDS) -> dict[str, Tensor]:
    """Random weights under the release's names, norms in their old spelling."""
    generator = torch.Generator().manual_seed(seed)
    weights: dict[str, Tensor] = {}

    def linear(name: str, out: int, into: int) -> None:
        weights[f"{name}.weight"] = torch.randn(out, into, generator=generator) * 0.3
        # in 64ths, so that the sum of two biases is exact in fp32
        weights[f"{name}.bias"] = (torch.randn(out, generator=generator) * 20).round() / 64

    def norm(name: str, size: int) -> None:
        weights[f"{name}.gamma"] = 1 + torch.randn(size, generator=generator) * 0.2
        weights[f"{name}.beta"] = torch.randn(size, generator=generator) * 0.2

    for table, rows in (("word", V), ("position", 16), ("token_type", 2)):
        weights[f"bert.embeddings.{table}_embeddings.weight"] = torch.randn(rows, D, generator=generator)
    norm("bert.embeddings.LayerNorm", D)
    for i, kind in enumerate(kinds):
        layer = f"bert.encoder.layer.{i}"
        sides = [("", D)] + ([("_ent", E)] if kind == "norm" else [])
        for side, size in sides:
            for part in ("query", "key", "value"):
                linear(f"{layer}.attention.self{side}.{part}", size, size)
            linear(f"{layer}.attention.output{side}.dense", size, size)
            norm(f"{layer}.attention.output{side}.LayerNorm", size)
        for side, size in [("", D)] + ([("_ent", E)] if kind != "sim" else []):
            linear(f"{layer}.intermediate.dense{side}", F_, size)
            linear(f"{layer}.output.dense{side}", size, F_)
            norm(f"{layer}.output.LayerNorm{side}", size)
    linear("bert.pooler.dense", D, D)
    linear("cls.predictions.transform.dense", D, D)
    norm("cls.predictions.transform.LayerNorm", D)
    weights["cls.predictions.bias"] = torch.randn(V, generator=generator)
    weights["cls.predictions.decoder.weight"] = weights["bert.embeddings.word_embeddings.weight"].clone()
    linear("cls.predictions_ent.transform.dense", E, D)
    norm("cls.predictions_ent.transform.LayerNorm", E)
    linear("cls.seq_relationship", 2, D)
    return weights


class Described:
    """What the release computes: entity tensors at every token, a mask of their presence, fp64."""

    def __init__(self, weights: dict[str, Tensor], kinds: Sequence[str] = KINDS) -> None:
        self.kinds = kinds
        self.w = {name: value.double() for name, value in weights.items()}

    def linear(self, name: str, x: Tensor) -> Tensor:
        out: Tensor = x @ self.w[f"{name}.weight"].T + self.w[f"{name}.bias"]
        return out

    def norm(self, name: str, x: Tensor) -> Tensor:
        x = (x - x.mean(-1, keepdim=True)) / torch.sqrt(x.var(-1, unbiased=False, keepdim=True) + 1e-12)
        return x * self.w[f"{name}.gamma"] + self.w[f"{name}.beta"]

    def attention(self, layer: str, side: str, x: Tensor, mask_BT: Tensor, heads: int) -> Tensor:
        def split(part: str) -> Tensor:
            made = self.linear(f"{layer}.attention.self{side}.{part}", x)
            return made.view(*made.shape[:2], heads, -1).transpose(1, 2)

        q, k, v = (split(part) for part in ("query", "key", "value"))
        scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]) + (1.0 - mask_BT[:, None, None]) * -10000.0
        mixed = (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)
        out = f"{layer}.attention.output{side}"
        return self.norm(f"{out}.LayerNorm", self.linear(f"{out}.dense", mixed) + x)

    def layers(
        self, tokens: Tensor, segments: Tensor, mask: Tensor, e: Tensor, linked: Tensor
    ) -> list[tuple[Tensor, Tensor]]:
        """Token and entity output of every layer."""
        embed = "bert.embeddings."
        x = self.w[f"{embed}word_embeddings.weight"][tokens]
        x = x + self.w[f"{embed}position_embeddings.weight"][: tokens.shape[1]]
        x = self.norm(f"{embed}LayerNorm", x + self.w[f"{embed}token_type_embeddings.weight"][segments])
        outputs = []
        for i, kind in enumerate(self.kinds):
            layer = f"bert.encoder.layer.{i}"
            x = self.attention(layer, "", x, mask, HEADS)
            grown = self.linear(f"{layer}.intermediate.dense", x)
            if kind != "sim":
                if kind == "norm":
                    e = self.attention(layer, "_ent", e, linked, ENTITY_HEADS)
                e = e * linked[:, :, None]
                grown = grown + self.linear(f"{layer}.intermediate.dense_ent", e)
            h = F.gelu(grown)
            x = self.norm(f"{layer}.output.LayerNorm", self.linear(f"{layer}.output.dense", h) + x)
            if kind != "sim":
                e = self.norm(
                    f"{layer}.output.LayerNorm_ent", self.linear(f"{layer}.output.dense_ent", h) + e
                )
            outputs.append((x, e))
        return outputs


def write_release(folder: Path, kinds: Sequence[str] = KINDS) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({**CONFIG, "layer_types": kinds}))
    save_file(release(kinds=kinds), folder / "model.safetensors")
    return folder


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return write_release(tmp_path / "release")


def batch() -> Batch:
    entities = torch.tensor([[0, 2, 0, 0, 1, 3, 0, 0], [0, 0, 0, 0, 0, 0, 0, 0], [0, 0, 3, 0, 0, 1, 0, 0]])
    generator = torch.Generator().manual_seed(1)
    vectors = torch.randn(4, E, generator=generator, dtype=torch.float64)
    vectors[0] = 0
    return Batch(
        torch.randint(0, V, entities.shape, generator=generator),
        (torch.arange(8) < torch.tensor([[8], [6], [7]])).long(),
        segments=(torch.arange(8) > 3).long().expand(3, 8),
        entities=entities,
        entity_vectors=vectors,
    )


@pytest.mark.parametrize("kinds", [KINDS, WITHOUT_MIX, ["norm"] * LAYERS])
def test_thunlp_layers_equal_the_releases_equations(kinds: Sequence[str], tmp_path: Path) -> None:
    ported, first = thunlp.load(write_release(tmp_path / "release", kinds)), kinds.count("sim")
    assert (ported.missing, ported.unused) == ((), ())
    model = ported.model.double().eval()
    assert model.config.fusion is not None
    assert (model.config.fusion.first, model.config.fusion.hidden, model.config.fusion.heads) == (first, E, 2)
    given = batch()
    ours: list[tuple[Tensor, Tensor]] = []
    assert model.encoder is not None
    for layer in model.encoder.layers:
        layer.register_forward_hook(lambda _m, _in, out: ours.append(out))
    hidden = model(given)
    assert given.entities is not None
    assert given.entity_vectors is not None
    assert given.segments is not None
    linked = (given.entities > 0).double()
    linked[:, 0] = 1
    described = Described(release(kinds=kinds), kinds)
    mask = (given.documents > 0).double()
    theirs = described.layers(
        given.tokens, given.segments, mask, given.entity_vectors[given.entities], linked
    )
    for i, ((x, beside), (their_x, their_e)) in enumerate(zip(ours, theirs, strict=True)):
        real = mask.bool()
        torch.testing.assert_close(x[real], their_x[real], atol=1e-11, rtol=0)
        if i < first:
            continue
        for row in range(3):
            at = linked[row].bool()
            torch.testing.assert_close(beside[row, : int(at.sum())], their_e[row, at], atol=1e-11, rtol=0)
    candidates = given.entity_vectors[1:]
    head = "cls.predictions_ent.transform"
    read = described.norm(f"{head}.LayerNorm", F.gelu(described.linear(f"{head}.dense", theirs[-1][0])))
    torch.testing.assert_close(
        model.entity_scores(hidden, candidates)[mask.bool()],
        (read @ candidates.T)[mask.bool()],
        atol=1e-10,
        rtol=0,
    )
    pooled = torch.tanh(described.linear("bert.pooler.dense", theirs[-1][0][:, 0]))
    judged = described.linear("cls.seq_relationship", pooled)
    # Their column 0 says that the second segment follows; ours is column 1.
    torch.testing.assert_close(model.next_sentence(hidden).flip(1), judged, atol=1e-11, rtol=0)


def test_thunlp_without_fusion_layers_is_a_plain_bert(tmp_path: Path) -> None:
    ported = thunlp.load(write_release(tmp_path / "release", ["sim"] * LAYERS))
    assert ported.model.config.fusion is None
    assert ported.missing == ()
    assert {name.rpartition(".")[0] for name in ported.unused} == {
        "cls.predictions_ent.transform.dense",
        "cls.predictions_ent.transform.LayerNorm",
    }


def test_thunlp_model_round_trips_through_our_folder(checkpoint: Path, tmp_path: Path) -> None:
    model = from_pretrained(str(checkpoint))
    own.save(tmp_path / "own", model)
    loaded = from_pretrained(str(tmp_path / "own"))
    assert loaded.config == model.config
    for (name, weight), other in zip(model.named_parameters(), loaded.parameters(), strict=True):
        assert torch.equal(weight, other), name


def test_thunlp_token_side_loads_as_bert_in_transformers(checkpoint: Path, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    model = from_pretrained(str(checkpoint)).eval()
    huggingface.save(tmp_path / "bert", model)
    theirs, report = transformers.AutoModelForPreTraining.from_pretrained(
        tmp_path / "bert", output_loading_info=True
    )
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    given = batch()
    ours = without_fusion(model)(Batch(given.tokens, given.documents, segments=given.segments))
    hidden = theirs.eval().bert(given.tokens, given.documents, given.segments).last_hidden_state
    real = given.documents > 0
    torch.testing.assert_close(ours[real], hidden[real], atol=1e-4, rtol=1e-4)


def test_thunlp_export_opens_with_automodel(checkpoint: Path, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    from kepipe.models.hf import auto

    model = from_pretrained(str(checkpoint))
    auto.save(tmp_path / "auto", model)
    loaded = transformers.AutoModel.from_pretrained(tmp_path / "auto")
    assert isinstance(loaded, auto.KepipeErnieModel)
    assert transformers.AutoConfig.from_pretrained(tmp_path / "auto").model_type == "kepipe-ernie"
    given = batch()
    assert given.entity_vectors is not None
    vectors = given.entity_vectors.float()
    out = loaded(
        given.tokens, given.documents, given.segments, entities=given.entities, entity_vectors=vectors
    )
    expected = model(Batch(**{**vars(given), "entity_vectors": vectors}))
    assert torch.equal(out.last_hidden_state, expected)
    assert torch.equal(out.pooler_output, model.pool(expected))
    with pytest.raises(ValueError, match="fuses no entities"):
        auto.save(tmp_path / "plain", without_fusion(model))


def test_invalid_thunlp_folder_is_reported(checkpoint: Path) -> None:
    file = checkpoint / "config.json"
    file.write_text(json.dumps(CONFIG | {"layer_types": ["mix", "sim", "norm", "norm", "norm"]}))
    with pytest.raises(ValueError, match="expected plain layers"):
        thunlp.load(checkpoint)
    file.write_text(json.dumps(CONFIG | {"layer_types": ["sim", "mix", "norm", "norm", "norm"]}))
    with pytest.raises(ValueError, match=r"layer 1 fuses, but .* is not there"):
        thunlp.load(checkpoint)
    file.write_text(json.dumps(CONFIG | {"layer_types": KINDS, "intermediate_size": F_ + 1}))
    with pytest.raises(ValueError, match="its config says"):
        thunlp.load(checkpoint)


def test_thunlp_missing_and_unused_weights_are_reported(checkpoint: Path) -> None:
    weights = {name: value for name, value in release().items() if "predictions_ent" not in name}
    save_file(weights | {"bert.extra": torch.zeros(1)}, checkpoint / "model.safetensors")
    ported = thunlp.load(checkpoint)
    assert set(ported.missing) == {
        "entity_head.dense.weight", "entity_head.dense.bias", "entity_head.norm.weight", "entity_head.norm.bias",
    }  # fmt: skip
    assert ported.unused == ("bert.extra",)
