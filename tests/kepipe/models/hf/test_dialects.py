"""The tables of Hugging Face's families are consistent."""

from __future__ import annotations

import pytest
import transformers

from kepipe.models.config import TransformerConfig
from kepipe.models.families import FAMILIES
from kepipe.models.hf.dialects import DIALECTS, dialect_of
from kepipe.models.hf.tables import PORTS
from kepipe.tokenization.tokenizer import ROLES


@pytest.mark.parametrize("name", DIALECTS)
def test_dialect_names_existing_architecture_role_and_family(name: str) -> None:
    sizes = {"vocabulary": 9, "hidden": 8, "heads": 2, "feedforward": 8}
    dialect, config = DIALECTS[name], TransformerConfig(family=name, **sizes, encoder_layers=1)
    assert hasattr(transformers, dialect.architecture(config))
    assert dialect.begins in {None, *ROLES}
    assert name in FAMILIES


def test_dialects_and_ports_have_the_same_families() -> None:
    assert list(DIALECTS) == list(PORTS)
    with pytest.raises(ValueError, match="known: bert, roberta, modernbert, gpt2, bart, t5"):
        dialect_of("elmo")
