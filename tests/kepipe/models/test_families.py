"""The table of families: published sizes, explicit sizes, seeded weights."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from kepipe.data.batch import Batch
from kepipe.models.base import Base, build, configure, fingerprint, with_special_ids
from kepipe.models.config import TransformerConfig
from kepipe.models.families import FAMILIES

PUBLISHED = [
    (
        "bert",
        "base",
        30522,
        110.1,
    ),  # Devlin et al. 2019 with pooler and both heads, as transformers counts them
    ("bert", "mini", 30522, 11.3),  # Turc et al. 2019: 11.3 M
    ("roberta", "base", 50265, 124.7),
    ("modernbert", "base", 50368, 149.7),  # as transformers counts it
    ("gpt2", "small", 50257, 124.4),
    ("bart", "base", 50265, 139.5),
    ("t5", "small", 32128, 60.5),
    ("t5-v1.1", "small", 32128, 77.0),
]


@pytest.mark.parametrize(("family", "size", "vocabulary", "millions"), PUBLISHED)
def test_number_of_parameters_is_the_published_one(
    family: str, size: str, vocabulary: int, millions: float
) -> None:
    from kepipe.models.assemble import assemble

    base = Base.model_validate({"family": family, "size": size})
    model = assemble(configure(base, vocabulary))
    count = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    assert count == pytest.approx(millions, rel=0.01)


def batch_for(config: TransformerConfig) -> Batch:
    tokens = torch.randint(0, config.vocabulary, (2, 7), generator=torch.Generator().manual_seed(0))
    ones = torch.ones_like(tokens)
    two_sided = bool(config.encoder_layers and config.decoder_layers)
    return Batch(
        tokens,
        ones,
        visibility="full" if config.encoder_layers else "causal",
        decoder_tokens=tokens if two_sided else None,
        decoder_documents=ones if two_sided else None,
    )


@pytest.mark.parametrize("norm", [None, "pre", "post"])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_trains(family: str, norm: str | None) -> None:
    values = {"family": family, "layers": 2, "hidden": 32, "heads": 2, "norm": norm, "dropout": 0.1}
    model = build(Base.model_validate(values), 50, seed=0).train()
    torch.manual_seed(0)
    hidden_BTD = model(batch_for(model.config))
    model.vocabulary(hidden_BTD.flatten(0, 1)).logsumexp(-1).sum().backward()
    heads = ("pooler", "next_sentence_head")
    without = [
        name
        for name, weight in model.named_parameters()
        if weight.grad is None and not name.startswith(heads)
    ]
    assert without == []
    assert all(bool(weight.grad.isfinite().all()) for weight in model.parameters() if weight.grad is not None)


@pytest.mark.parametrize("family", FAMILIES)
def test_gradient_checkpointing_gives_identical_gradients(family: str) -> None:
    values = {"family": family, "layers": 2, "hidden": 32, "heads": 2}
    gradients = []
    for on in (False, True):
        model = build(Base.model_validate(values), 50, seed=0).train()
        model.set_gradient_checkpointing(on)
        model(batch_for(model.config)).square().sum().backward()
        gradients.append([w.grad for w in model.parameters() if w.grad is not None])
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


def test_weights_depend_only_on_the_seed() -> None:
    base = Base(layers=1, hidden=32, heads=2)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first, again, other = build(base, 40, 3), build(base, 40, 3), build(base, 40, 4)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert not torch.equal(first.tokens.weight, other.tokens.weight)


@pytest.mark.parametrize("family", FAMILIES)
def test_initial_weights_are_as_published_up_to_width(family: str) -> None:
    model = build(Base.model_validate({"family": family, "size": "tiny", "init": "normal"}), 3000, seed=0)
    deviations = {
        name: float(weight.detach().std())
        for name, weight in model.named_parameters()
        if weight.numel() > 9999
    }
    config = model.config
    if family.startswith("t5"):
        assert deviations["tokens.weight"] == pytest.approx(1.0, rel=0.02)
        if not config.tied:
            assert deviations["head.weight"] == pytest.approx(config.hidden**-0.5, rel=0.02)
        query = model.encoder.layers[0].attention.part.qkv.weight[: config.heads * config.head_width]  # type: ignore
        assert float(query.detach().std()) == pytest.approx(
            (config.hidden * config.head_width) ** -0.5, rel=0.02
        )
        assert deviations["decoder.layers.1.mlp.part.down_proj.weight"] == pytest.approx(
            config.feedforward**-0.5, rel=0.02
        )
    elif family == "gpt2":
        assert deviations["decoder.layers.0.mlp.part.down_proj.weight"] == pytest.approx(
            0.02 / 4**0.5, rel=0.03
        )
        assert deviations["decoder.layers.0.mlp.part.up_proj.weight"] == pytest.approx(0.02, rel=0.03)
    else:
        in_layers = 0.02 * (768 / config.hidden) ** 0.5
        for name, value in deviations.items():
            expected = in_layers if ".layers." in name else 0.02
            if family == "modernbert" and name.endswith(("part.output.weight", "down_proj.weight")):
                expected /= 4**0.5  # two layers
            assert value == pytest.approx(expected, rel=0.03), name


def test_gpt_1_initialises_all_layers_alike() -> None:
    base = Base(family="gpt2", layers=4, hidden=768, heads=2, feedforward=768, norm="post", init="normal")
    model = build(base, 300, 0)
    drawn = [
        weight.detach()
        for name, weight in model.named_parameters()
        if ".layers." in name and weight.ndim == 2
    ]
    assert [float(weight.std()) for weight in drawn] == pytest.approx([0.02] * len(drawn), rel=0.03)


@pytest.mark.parametrize("hidden", [768, 1024])
def test_initial_deviations_are_as_published_from_width_768(hidden: int) -> None:
    model = build(Base(layers=1, hidden=hidden, heads=2, feedforward=8, init="normal"), 300, seed=0)
    matrices = [
        weight.detach() for weight in model.parameters() if weight.ndim == 2 and weight.numel() > 5000
    ]
    assert matrices
    assert all(float(weight.std()) == pytest.approx(0.02, rel=0.03) for weight in matrices)


def test_encode_tokens_returns_all_hidden_states() -> None:
    model = build(Base(layers=3, hidden=32, heads=2), 50, seed=0)
    batch = batch_for(model.config)
    all_hidden_states: list[torch.Tensor] = []
    from kepipe.models.batch_visibility import encoder_visibility

    last = model.encode_tokens(batch.tokens, encoder_visibility(batch), all_hidden_states=all_hidden_states)
    assert [state.shape for state in all_hidden_states] == [(2, 7, 32)] * 4
    assert torch.equal(all_hidden_states[-1], last)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"family": "gpt2", "size": "base"}, "gpt2 has no size 'base'; known: tiny, mini, small"),
        ({"from": "minilm", "size": "base"}, "`from` fixes the architecture: leave out size"),
        ({"dropout": 1.0}, "less than 1"),
        ({"family": "gpt2", "segments": 2}, "gpt2 has no `segments` to set"),
        ({"family": "t5", "positions": 128}, "t5 has no `positions` to set"),
        ({"family": "bert", "decoder_layers": 2}, "bert has no `decoder_layers` to set"),
    ],
)
def test_invalid_base_settings_are_named(values: dict[str, object], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        Base.model_validate(values)


def test_indivisible_sizes_are_rejected() -> None:
    with pytest.raises(ValueError, match="hidden 30 is not a multiple of heads 4"):
        build(Base(hidden=30, heads=4), 10, 0)


def test_missing_parts_of_a_family_are_reported() -> None:
    gpt = build(Base(family="gpt2", layers=1, hidden=32, heads=2), 50, 0)
    batch = batch_for(gpt.config)
    with pytest.raises(ValueError, match="gpt2: this model has no encoder"):
        gpt.encode_tokens(batch.tokens, None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="gpt2: this model has no next-sentence head"):
        gpt.next_sentence(gpt(batch))


def test_trained_models_have_a_fingerprint_and_a_vocabulary() -> None:
    minilm = Base.model_validate({"from": "minilm"})
    read = {"base/config.json", "base/model.safetensors", "base/tokenizer.json", "base/vocab.txt"}
    assert read <= set(fingerprint(minilm))
    assert "base/README.md" not in fingerprint(minilm)
    assert fingerprint(Base()) == {}
    with pytest.raises(ValueError, match="vocabulary of 30522 tokens, the tokenizer of the shards has 16000"):
        build(minilm, 16000, 0)


def test_table_of_families_imports_without_torch() -> None:
    import subprocess
    import sys

    script = "import sys, kepipe.models.families; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_base_table_and_fingerprint_import_without_torch() -> None:
    import subprocess
    import sys

    script = """
import sys
from kepipe.models.base import Base, fingerprint
fingerprint(Base.model_validate({"from": "minilm"}))
sys.exit("torch" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_new_model_has_the_special_ids_of_its_tokenizer() -> None:
    offsets = {"bert": 0, "roberta": 4, "gpt2": 0, "bart": 2, "t5": 0}
    starts = {"bart": 9, "t5": 3}
    for family in offsets:
        spoken = with_special_ids(configure(Base(family=family), 100), pad=3, sep=9)  # type: ignore[arg-type]
        assert (spoken.pad, spoken.start) == (3, starts.get(family))
        assert spoken.position_offset == offsets[family]
