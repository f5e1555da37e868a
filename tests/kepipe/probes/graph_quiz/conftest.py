"""A tokenizer of a few words."""

from __future__ import annotations

import pytest

from kepipe.tokenization.tokenizer import Tokenizer
from tests.support.capitals import make_tokenizer


@pytest.fixture(scope="package")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return make_tokenizer(tmp_path_factory.mktemp("words"))
