"""Every network: padding has no effect, weights are seeded, folders are exact, a vocabulary can grow."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kepipe.models import folder
from kepipe.models.families import FAMILIES
from kepipe.models.networks.families import NETWORKS, build, load, read_network_config
from kepipe.models.networks.network import Network
from kepipe.models.output_bias import init_output_bias
from kepipe.models.protocols import EncoderConfig, ExtensibleVocabulary, TrainableConfig
from tests.support.networks import LENGTHS, VOCABULARY, network, rows, single_row
from tests.support.tasks import tokenizer

KINDS: list[tuple[str, dict[str, Any]]] = [
    ("nnlm", {}),
    ("nnlm", {"order": 2, "direct": False}),
    ("lstm", {"layers": 2}),
    ("lstm", {"layers": 2, "bidirectional": True}),
    ("cnn", {"widths": [1, 2, 3, 5], "layers": 3}),
    ("cnn", {"widths": [4]}),
    ("xlnet", {}),
    ("transformer-xl", {"clamp": 3}),
]


@pytest.mark.parametrize(("family", "settings"), KINDS)
def test_a_row_does_not_depend_on_its_batch(family: str, settings: Mapping[str, Any]) -> None:
    model, batch = network(family, **settings), rows()
    for states in (model.encode, model.states):
        together_BTD = states(batch)
        for row, length in enumerate(LENGTHS):
            by_itself_TD = states(single_row(batch, row))[0]
            torch.testing.assert_close(together_BTD[row, :length], by_itself_TD, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("family", "settings"), KINDS)
def test_states_at_places_equal_those_of_all_states(family: str, settings: Mapping[str, Any]) -> None:
    model, batch = network(family, **settings), rows()
    places_N = torch.tensor([20, 3, 3, 0])
    all_ND = model(batch).flatten(0, 1)
    assert all_ND.shape[1] == model.hidden_size
    torch.testing.assert_close(model(batch, places_N), all_ND[places_N])
    labels_N = torch.tensor([1, 2, 3, 4])
    logits_NV = model.vocabulary(all_ND[places_N])
    summed = torch.nn.functional.cross_entropy(logits_NV, labels_N, reduction="sum")
    torch.testing.assert_close(model.token_loss(all_ND[places_N], labels_N), summed)


@pytest.mark.parametrize(("family", "settings"), KINDS)
def test_only_an_encoder_depends_on_tokens_to_the_right(family: str, settings: Mapping[str, Any]) -> None:
    model, batch = network(family, **settings), rows()
    before_TD = model.states(batch)[0]
    batch.tokens[0, 5] = (batch.tokens[0, 5] + 1) % VOCABULARY
    changed_T = (model.states(batch)[0] - before_TD).abs().amax(1) > 1e-7
    assert changed_T[5:].any()
    assert changed_T[:5].any() == (not model.config.causal and settings != {"widths": [1]})


@pytest.mark.parametrize(("family", "settings"), KINDS)
def test_folders_round_trip_and_the_same_seed_gives_the_same_bytes(
    family: str, settings: Mapping[str, Any], tmp_path: Path
) -> None:
    for name in ("one", "two"):
        folder.save(tmp_path / name, network(family, **settings))
    one, two = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "two"))
    assert one == two
    model, loaded = network(family, **settings), load(tmp_path / "one", dropout=0.3)
    assert read_network_config(tmp_path / "one") == model.config
    assert loaded.config.dropout == 0.3
    assert not loaded.training
    assert torch.equal(loaded.states(rows()), model.states(rows()))
    other = network(family, seed=1, **settings)
    assert not torch.equal(other.states(rows()), model.states(rows()))


@pytest.mark.parametrize(("family", "settings"), KINDS)
def test_a_vocabulary_grows_by_zeros(family: str, settings: Mapping[str, Any]) -> None:
    model, batch = network(family, **settings), rows()
    assert isinstance(model, ExtensibleVocabulary)
    grown = model.with_vocabulary(VOCABULARY + 2)
    assert isinstance(grown, Network)
    assert grown.config.vocabulary == VOCABULARY + 2
    assert torch.equal(grown.states(batch), model.states(batch))
    assert not grown.tokens.weight[VOCABULARY:].any()
    states_ND = model(batch, torch.tensor([0]))
    torch.testing.assert_close(grown.vocabulary(states_ND)[:, :VOCABULARY], model.vocabulary(states_ND))


@pytest.mark.parametrize("family", NETWORKS)
def test_a_fresh_network_predicts_token_frequencies(family: str) -> None:
    """With states of zero, the logits are the output bias."""
    words = tokenizer()
    counts_V = np.arange(words.vocab_size)
    base = NETWORKS[family].section.model_validate({"family": family})
    model = build(base, words, seed=0, counts=counts_V)
    assert model.config.start == words.sep
    shares_V = model.vocabulary(torch.zeros(1, model.hidden_size))[0].softmax(0)
    expected_V = (counts_V + 1) / (counts_V + 1).sum()
    np.testing.assert_allclose(shares_V.detach(), expected_V, rtol=1e-5)
    init_output_bias(model, np.ones_like(counts_V))
    assert model.head.bias is not None
    assert float(model.head.bias.detach().std()) < 1e-6


@pytest.mark.parametrize("family", NETWORKS)
def test_network_config_lists_objectives_and_capabilities(family: str) -> None:
    config = network(family).config
    assert isinstance(config, EncoderConfig)
    assert isinstance(config, TrainableConfig)
    assert type(config).from_json(json.loads(json.dumps(config.to_json()))) == config


def test_every_network_has_a_unique_name() -> None:
    from kepipe.models.fitted_families import FITTED

    assert not NETWORKS.keys() & {*FAMILIES, *FITTED}
    assert all(row.section.model_fields["family"].default == name for name, row in NETWORKS.items())


@pytest.mark.parametrize(
    ("family", "changes", "message"),
    [
        ("lstm", {"hidden": 10**9}, "`hidden`: expected a whole number up to"),
        ("lstm", {"layers": 10**6}, "`layers`: expected a whole number up to"),
        ("lstm", {"hidden": 1 << 17}, "does not fit config.json"),  # 275 GB of weights, had they been made
        ("lstm", {"layers": 0}, "layers must be at least 1"),
        ("lstm", {"bidirectional": 1}, "expected true or false"),
        ("lstm", {"bidirectional": True, "hidden": 7}, "must be even"),
        ("lstm", {"embedding": 0}, "embedding must be at least 1"),
        ("cnn", {"widths": []}, "expected one or more numbers from 1 to 63"),
        ("cnn", {"widths": [3, 64]}, "expected one or more numbers from 1 to 63"),
        ("cnn", {"widths": [1, 2, 3]}, "hidden 8 is not a multiple of the number of widths, 3"),
        ("cnn", {"layers": 0}, "layers must be at least 1"),
        ("nnlm", {"order": 1}, "expected a whole number from 2 to 64"),
        ("nnlm", {"direct": "yes"}, "expected true or false"),
        ("nnlm", {"depth": 3}, "unknown keys of a model's config: depth"),
        ("nnlm", {"family": "rnn"}, '`family`: expected nnlm, .*, found "rnn"'),
    ],
)
def test_an_invalid_config_is_an_error(
    family: str, changes: Mapping[str, Any], message: str, tmp_path: Path
) -> None:
    folder.save(tmp_path, network(family))
    values = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**values, **changes}))
    with pytest.raises(ValueError, match=message):
        load(tmp_path)
