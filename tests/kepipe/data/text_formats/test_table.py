"""All text formats: each extension belongs to one, and any bytes can be read."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kepipe.data.text_formats.table import FORMATS
from tests.support.texts import write_and_read

NAMES = [*(f"d{ending}" for row in FORMATS for ending in row.endings), "wiki_00"]


def test_each_extension_belongs_to_one_format() -> None:
    assert not +(
        Counter(ending for row in FORMATS for ending in row.endings)
        - Counter({e: 1 for row in FORMATS for e in row.endings})
    )
    assert all(ending == ending.lower() for row in FORMATS for ending in row.endings)


pieces = st.sampled_from(
    ['{"text": "a"}', "text", "\t", ",", '"', "\n", "\n\n", "<p>", "</p>", "<doc id=\"1\">", "</doc>",
    "<PubmedArticle>", "1\ta" + "\t_" * 8,
     "# newdoc", "[", "]", "```", "ü", "\ufeff", "\x00"]
).map(str.encode) | st.binary(max_size=8)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@given(st.lists(pieces, max_size=20).map(b"".join))
@settings(max_examples=25)
def test_any_bytes_are_read_without_a_crash(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: bytes
) -> None:
    folder = tmp_path_factory.mktemp("texts")
    try:
        found = write_and_read(folder, name, data)
    except ValueError as error:
        assert str(folder) in str(error)  # noqa: PT017
    else:
        assert all(document.text.strip() for document in found.documents)
