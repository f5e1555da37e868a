"""XLNet and Transformer-XL's attention give transformers' numbers on the same weights, and the weights convert back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import XLNetConfig, XLNetLMHeadModel

from kepipe.data.batch import Batch
from kepipe.models.hf import xlnet as port
from kepipe.models.networks.xlnet import XLNet
from kepipe.models.networks.xlnet_masks import ORDER
from kepipe.tokenization.trainers import words
from kepipe.training.carried_states import CarriedStates
from tests.support.families import relative_error

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
TOLERANCE = 1e-5
ROWS, TOKENS, VOCABULARY = 4, 9, 50


def models(folder: Path, **changes: Any) -> tuple[Any, XLNet]:
    """transformers' model with weights that all matter, and the same one ported."""
    torch.manual_seed(3)
    sizes = {"vocab_size": VOCABULARY, "d_model": 16, "n_layer": 3, "n_head": 2, "d_inner": 24}
    theirs = XLNetLMHeadModel(XLNetConfig(**{**sizes, "mem_len": None, "dropout": 0.0, **changes}))
    with torch.no_grad():
        for name, weight in theirs.named_parameters():
            if not name.endswith("layer_norm.weight"):
                weight.normal_(0.0, 0.3)
    theirs.save_pretrained(folder)
    notes: list[str] = []
    ours = port.load(folder, 0.0, 0, notes.append)
    assert notes == []
    assert isinstance(ours, XLNet)
    return theirs.eval(), ours


def tokens(seed: int = 0) -> Tensor:
    return torch.randint(0, VOCABULARY, (ROWS, TOKENS), generator=torch.Generator().manual_seed(seed))


def padding() -> Tensor:
    return (torch.arange(TOKENS) < torch.tensor([[9], [5], [7], [1]])).long()


def halves(cut: int = 4) -> Tensor:
    return (torch.arange(TOKENS) >= cut).long().expand(ROWS, -1)


@pytest.mark.parametrize("attn_type", ["bi", "uni"])
@pytest.mark.parametrize("changes", [{}, {"clamp_len": 3}])
def test_content_stream_with_padding_and_segments(
    attn_type: str, changes: dict[str, int], tmp_path: Path
) -> None:
    theirs, ours = models(tmp_path, attn_type=attn_type, **changes)
    there_BT = padding()
    batch = Batch(tokens(), there_BT, segments=halves())
    with torch.no_grad():
        expected = theirs(
            tokens(),
            # from the left padding is invisible, and their model takes no other mask
            attention_mask=there_BT.float() if attn_type == "bi" else None,
            token_type_ids=halves(),
            output_hidden_states=True,
        )
        hidden_BTD = ours.encode(batch)
    assert relative_error(hidden_BTD[there_BT > 0], expected.hidden_states[-1][there_BT > 0]) < TOLERANCE
    assert (
        relative_error(ours.vocabulary(hidden_BTD)[there_BT > 0], expected.logits[there_BT > 0]) < TOLERANCE
    )
    assert ours.config.causal == (attn_type == "uni")


@pytest.mark.parametrize(
    "changes", [{}, {"bi_data": True}, {"clamp_len": 4}, {"reuse_len": 5}, {"mem_len": 12}]
)
def test_both_streams_over_three_rows_with_memory(changes: dict[str, Any], tmp_path: Path) -> None:
    """perm_mask, target_mapping and mems; half of the rows read from the right where the data is of both directions."""
    theirs, ours = models(tmp_path, **{"mem_len": 6, **changes}, use_mems_train=True)
    carried, mems = CarriedStates(), None
    rng = torch.Generator().manual_seed(1)
    for number in range(3):
        order_BT = torch.argsort(torch.rand(ROWS, TOKENS, generator=rng), 1)
        order_BT[:, :2] = -1  # given to all
        places_BU = (
            torch.stack([2 + torch.randperm(TOKENS - 2, generator=rng)[:3] for _ in range(ROWS)])
            .sort(1)
            .values
        )
        seen_BTT = (order_BT[:, None] < order_BT[..., None]) | (order_BT < 0)[:, None]
        mapping_BUT = torch.nn.functional.one_hot(places_BU, TOKENS).float()
        from_right_B = torch.arange(ROWS) >= ROWS // 2 if changes.get("bi_data") else None
        batch = Batch(
            tokens(number), torch.ones(ROWS, TOKENS, dtype=torch.long), segments=halves(),
            extra={ORDER: order_BT}, continues=torch.full((ROWS,), number > 0), from_right=from_right_B,
        )  # fmt: skip
        with torch.no_grad():
            expected = theirs(
                tokens(number), perm_mask=(~seen_BTT).float(), target_mapping=mapping_BUT, mems=mems,
                token_type_ids=halves(), use_mems=True,
            )  # fmt: skip
            flat_N = (places_BU + TOKENS * torch.arange(ROWS)[:, None]).flatten()
            followed = carried.attach(batch)
            logits_NV = ours.vocabulary(ours(followed, flat_N))
        assert relative_error(logits_NV, expected.logits.flatten(0, 1)) < TOLERANCE
        mems = expected.mems
        assert followed.state is not None
        memory_BLMD, present_BM = followed.state["memory"], followed.state["present"]
        size = mems[0].shape[0]
        assert present_BM.sum(1).tolist() == [size] * ROWS
        theirs_BLMD = torch.stack(mems).permute(2, 0, 1, 3)
        assert relative_error(memory_BLMD[:, :, -size:], theirs_BLMD) < TOLERANCE


@pytest.mark.parametrize("same_length", [False, True])
def test_transformer_xl_attention_over_three_rows_with_memory(same_length: bool, tmp_path: Path) -> None:
    theirs, ours = models(tmp_path, attn_type="uni", mem_len=TOKENS, same_length=same_length)
    carried, mems = CarriedStates(), None
    for number in range(3):
        there_BT = torch.ones(ROWS, TOKENS, dtype=torch.long)
        batch = carried.attach(Batch(tokens(number), there_BT, continues=torch.full((ROWS,), number > 0)))
        with torch.no_grad():
            expected = theirs(tokens(number), mems=mems, use_mems=True)
            logits_BTV = ours.vocabulary(ours(batch))
        mems = expected.mems
        if number or not same_length:  # theirs sees less before there is a memory
            assert relative_error(logits_BTV, expected.logits) < TOLERANCE


def test_tokens_read_from_the_left_equal_transformers_generation(tmp_path: Path) -> None:
    """XLNet's next token: a query right of the text, in the order from the left."""
    theirs, ours = models(tmp_path)
    text_BT = tokens()
    asked_BT = torch.cat([text_BT, torch.zeros(ROWS, 1, dtype=torch.long)], 1)
    order_T = torch.arange(TOKENS + 1)
    unseen_BTT = (order_T[None] > order_T[:, None]).float()
    unseen_BTT[-1, -1] = 1.0
    mapping_B1T = torch.nn.functional.one_hot(torch.full((ROWS, 1), TOKENS), TOKENS + 1).float()
    with torch.no_grad():
        expected = theirs(
            asked_BT, perm_mask=unseen_BTT.expand(ROWS, -1, -1), target_mapping=mapping_B1T
        ).logits[:, 0]
        states_BTD, state = ours.read(text_BT[:, :5])
        states_BTD, _ = ours.read(text_BT[:, 5:], None, state)
    assert relative_error(ours.vocabulary(states_BTD[:, -1]), expected) < TOLERANCE


@pytest.mark.parametrize("attn_type", ["bi", "uni"])
def test_xlnet_weights_and_config_convert_back(attn_type: str, tmp_path: Path) -> None:
    settings = {"mem_len": 6, "reuse_len": 4, "clamp_len": 20, "same_length": True, "ff_activation": "relu"}
    theirs, ours = models(tmp_path / "theirs", attn_type=attn_type, **settings)
    port.save(tmp_path / "back", ours, words(["a text of words"], 300, lowercase=True))
    again = XLNetLMHeadModel.from_pretrained(tmp_path / "back").eval()
    for name in (
        *settings,
        "attn_type",
        "d_model",
        "n_layer",
        "n_head",
        "d_inner",
        "vocab_size",
        "layer_norm_eps",
    ):
        assert getattr(again.config, name) == getattr(theirs.config, name), name
    with torch.no_grad():
        assert torch.equal(again(tokens()).logits, theirs(tokens()).logits)
    before, after = (load_file(tmp_path / folder / "model.safetensors") for folder in ("theirs", "back"))
    unasked = {"transformer.mask_emb"} if attn_type == "uni" else set()
    assert all(torch.equal(after[name], before[name]) for name in after.keys() - unasked)
