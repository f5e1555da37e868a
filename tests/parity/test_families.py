"""The one transformer gives transformers' hidden states and logits, whatever the family, and converts back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from kepipe.data.batch import Batch
from kepipe.models.hf import huggingface
from kepipe.models.pretrained import from_pretrained, locate
from kepipe.models.transformer import Transformer
from kepipe.nn.visibility import by_name, causal, documents, full, tree
from tests.support.families import (
    CLASSES,
    ENCODER_DECODERS,
    ENCODERS,
    SIZES,
    padded,
    relative_error,
    saved,
    theirs,
    tokens,
)

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
TOLERANCE = 1e-5
LENGTHS = [13, 7, 10]


def ours(family: str, folder: Path) -> tuple[torch.nn.Module, Transformer]:
    """transformers' model and the same one ported."""
    reference = theirs(family)
    ported = huggingface.load(saved(reference, folder))
    assert ported.missing == ()
    assert ported.unused == ()
    return reference, ported.model.eval()


@pytest.mark.parametrize("family", ENCODERS)
def test_encoder_with_padding_and_segments(family: str, tmp_path: Path) -> None:
    reference, model = ours(family, tmp_path)
    tokens_BT, real_BT = tokens(3, 13), padded(LENGTHS)
    segments_BT = (torch.arange(13)[None] > 4).long().expand(3, -1) if family == "bert" else None
    with torch.no_grad():
        all_hidden_states: list[torch.Tensor] = []
        hidden_BTD = model.encode_tokens(
            tokens_BT, documents(real_BT), segments_BT=segments_BT, all_hidden_states=all_hidden_states
        )
        expected = reference(
            tokens_BT,
            attention_mask=real_BT,
            token_type_ids=segments_BT,
            position_ids=(torch.arange(13) + model.config.position_offset).expand(3, -1),
            output_hidden_states=True,
        )
        logits = model.vocabulary(hidden_BTD)
        kept = real_BT > 0
        for layer, expected_layer in zip(all_hidden_states, expected.hidden_states, strict=True):
            assert relative_error(layer[kept], expected_layer[kept]) < TOLERANCE
        name = "prediction_logits" if family == "bert" else "logits"
        assert relative_error(logits[kept], expected[name][kept]) < TOLERANCE
        if family == "bert":
            next_sentence_labels = model.next_sentence(hidden_BTD)
            # there, column 0 is "follows"; here column 1 is, as `Batch.next_sentence_labels` says
            assert relative_error(next_sentence_labels.flip(1), expected.seq_relationship_logits) < TOLERANCE


def masks(model: Transformer, additive: torch.Tensor) -> Any:
    """transformers' mask, or one for each kind of layer where some look nearby alone."""
    if model.config.rotary is None:
        return additive
    places = torch.arange(additive.shape[-1])
    far = (places[:, None] - places).abs() > model.config.rotary.window // 2
    near = additive.masked_fill(far, torch.finfo(torch.float32).min)
    return {"full_attention": additive, "sliding_attention": near}


@pytest.mark.parametrize("family", ENCODERS)
def test_encoder_with_custom_positions_and_tree(family: str, tmp_path: Path) -> None:
    reference, model = ours(family, tmp_path)
    tokens_BT, real_BT = tokens(2, 11), padded([11, 9])
    positions_BT = torch.randint(0, 30, (2, 11), generator=torch.Generator().manual_seed(1))
    branch_BT = torch.tensor([[0, 0, 0, 1, 1, 2, 0, 0, 3, 3, 0], [0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0]])
    mention_BT = torch.tensor([[0, 1, 1, 1, 1, 1, 0, 2, 2, 2, 0], [0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0]])
    visibility = tree(branch_BT, mention_BT) & documents(real_BT)
    dense = visibility.dense(2, 11, 11)
    assert dense is not None
    additive = torch.zeros(dense.shape).masked_fill(~dense, torch.finfo(torch.float32).min)
    with torch.no_grad():
        hidden_BTD = model.encode_tokens(tokens_BT, visibility, positions_BT=positions_BT)
        expected = reference.base_model(
            tokens_BT,
            attention_mask=masks(model, additive[:, None]),
            position_ids=positions_BT + model.config.position_offset,
        ).last_hidden_state
    kept = real_BT > 0
    assert relative_error(hidden_BTD[kept], expected[kept]) < TOLERANCE


def test_decoder_with_padding_and_positions(tmp_path: Path) -> None:
    reference, model = ours("gpt2", tmp_path)
    tokens_BT, real_BT = tokens(3, 13), padded(LENGTHS)
    positions_BT = torch.randint(0, 40, (3, 13), generator=torch.Generator().manual_seed(1))
    kept = real_BT > 0
    for positions in (None, positions_BT):
        with torch.no_grad():
            hidden_BTD = model.decode_tokens(tokens_BT, causal() & documents(real_BT), positions_BT=positions)
            expected = reference(
                tokens_BT, attention_mask=real_BT, position_ids=positions, output_hidden_states=True
            )
        assert relative_error(hidden_BTD[kept], expected.hidden_states[-1][kept]) < TOLERANCE
        assert relative_error(model.vocabulary(hidden_BTD)[kept], expected.logits[kept]) < TOLERANCE


@pytest.mark.parametrize("family", ENCODER_DECODERS)
def test_encoder_decoder_with_padding(family: str, tmp_path: Path) -> None:
    reference, model = ours(family, tmp_path)
    batch = Batch(
        tokens(3, 13), padded(LENGTHS), decoder_tokens=tokens(3, 6, 1), decoder_documents=padded([4, 6, 5])
    )
    assert batch.decoder_tokens is not None
    assert batch.decoder_documents is not None
    with torch.no_grad():
        memory_BSD = model.encode_tokens(batch.tokens, documents(batch.documents))
        hidden_BTD = model(batch)
        expected = reference(
            input_ids=batch.tokens,
            attention_mask=batch.documents,
            decoder_input_ids=batch.decoder_tokens,
            decoder_attention_mask=batch.decoder_documents,
            output_hidden_states=True,
        )
    sources, kept = batch.documents > 0, batch.decoder_documents > 0
    assert relative_error(memory_BSD[sources], expected.encoder_last_hidden_state[sources]) < TOLERANCE
    assert relative_error(hidden_BTD[kept], expected.decoder_hidden_states[-1][kept]) < TOLERANCE
    assert relative_error(model.vocabulary(hidden_BTD)[kept], expected.logits[kept]) < TOLERANCE


@pytest.mark.parametrize("family", SIZES)
def test_transformers_round_trip_is_exact(family: str, tmp_path: Path) -> None:
    import transformers

    reference, model = ours(family, tmp_path / "theirs")
    huggingface.save(tmp_path / "back", model)
    before, after = (load_file(tmp_path / name / "model.safetensors") for name in ("theirs", "back"))
    assert before.keys() <= after.keys() | {"cls.predictions.decoder.bias", "lm_head.decoder.bias"}
    assert all(torch.equal(before[name], after[name]) for name in before.keys() & after.keys())

    again, report = getattr(transformers, CLASSES[family]).from_pretrained(
        tmp_path / "back", output_loading_info=True
    )
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    inputs = {"input_ids": tokens(2, 9)}
    if family in ENCODER_DECODERS:
        inputs["decoder_input_ids"] = tokens(2, 5, 1)
    with torch.no_grad():
        assert torch.equal(again.eval()(**inputs)[0], reference(**inputs)[0])
    once_more = huggingface.load(tmp_path / "back").model
    assert once_more.config == model.config
    assert all(torch.equal(a, b) for a, b in zip(once_more.parameters(), model.parameters(), strict=True))


@pytest.mark.parametrize("family", ENCODERS)
@pytest.mark.parametrize(
    "changes", [{"hidden_act": "relu"}, {"hidden_act": "gelu_new"}, {"tie_word_embeddings": False}]
)
def test_masked_lm_heads_round_trip(family: str, changes: dict[str, Any], tmp_path: Path) -> None:
    """RoBERTa's head has the exact GELU whatever the layers have; untied matrices have their own bias."""
    import transformers

    reference = theirs(family, **changes)
    with torch.no_grad():
        for name, value in reference.named_parameters():
            if "predictions" in name or "lm_head" in name:
                value.normal_(generator=torch.Generator().manual_seed(len(name)))
    model = huggingface.load(saved(reference, tmp_path / "theirs")).model.eval()
    huggingface.save(tmp_path / "back", model)
    again = getattr(transformers, CLASSES[family]).from_pretrained(tmp_path / "back").eval()
    tokens_BT = tokens(2, 9)
    with torch.no_grad():
        expected = reference(tokens_BT)[0]
        logits = model.vocabulary(model.encode_tokens(tokens_BT, documents(torch.ones_like(tokens_BT))))
        assert relative_error(logits, expected) < TOLERANCE
        assert torch.equal(again(tokens_BT)[0], expected)


def test_minilm_hidden_states_equal_transformers() -> None:
    from transformers import AutoModel

    messages: list[str] = []
    model = from_pretrained("minilm", note=messages.append).eval()
    assert len(messages) == 1
    assert "head.transform.dense.weight" in messages[0]
    reference = AutoModel.from_pretrained(locate("minilm")).eval()
    tokens_BT = torch.randint(0, 30522, (4, 50), generator=torch.Generator().manual_seed(0))
    real_BT = padded([50, 31, 7, 44])
    with torch.no_grad():
        hidden_BTD = model.encode_tokens(tokens_BT, documents(real_BT))
        expected = reference(tokens_BT, attention_mask=real_BT)
        kept = real_BT > 0
        assert relative_error(hidden_BTD[kept], expected.last_hidden_state[kept]) < TOLERANCE
        assert relative_error(model.pool(hidden_BTD), expected.pooler_output) < TOLERANCE


@pytest.mark.parametrize("name", ["full", "causal", "backward", "prefix"])
def test_packed_rows_equal_their_documents_alone(name: str, tmp_path: Path) -> None:
    _, model = ours("bert", tmp_path)
    first, second = tokens(1, 6, 1), tokens(1, 8, 2)
    positions_BT = torch.cat([torch.arange(6), torch.arange(8), torch.zeros(2, dtype=torch.long)])[None]
    documents_BT = torch.tensor([[1] * 6 + [2] * 8 + [0] * 2])
    prefix_BT = torch.tensor([[1, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0]])
    row = torch.cat([first, second, tokens(1, 2, 3)], 1)
    with torch.no_grad():
        packed = model.encode_tokens(
            row, by_name(name, documents_BT, prefix_BT=prefix_BT), positions_BT=positions_BT
        )
        for document, at in ((first, slice(0, 6)), (second, slice(6, 14))):
            alone = model.encode_tokens(document, by_name(name, prefix_BT=prefix_BT[:, at]))
            assert relative_error(packed[:, at], alone) < TOLERANCE


def test_full_rows_need_no_mask() -> None:
    assert documents(torch.ones(3, 5)).everything
    assert (full() & documents(torch.full((2, 4), 1))).everything
