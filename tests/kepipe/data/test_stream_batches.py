from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from kepipe.data.batch_sampler import BatchSampler
from kepipe.data.formats import plan
from kepipe.data.row_batches import RowBatches, RowShape, SpecialTokens
from kepipe.data.shards import Shard
from kepipe.data.stream_batches import StreamBatches, as_streams, continues_document
from tests.support.shards import random_documents, write_shard

PAD, CLS, SEP = 0, 1, 2


def streams(
    shard: Shard, format: str, tokens: int, *, begin: bool = False, both: bool = False
) -> StreamBatches:
    examples = plan(shard, format, 8, begin=begin)
    shape = RowShape(8, tokens, begin, 5)
    rows = RowBatches(
        shard, examples, BatchSampler(examples.lengths, tokens, 5), SpecialTokens(PAD, CLS, SEP), shape
    )
    return as_streams(rows, parts=1, both_directions=both)


def test_doc_packed_rows_have_special_tokens_only_at_the_ends_of_a_document(tmp_path: Path) -> None:
    shard = write_shard(tmp_path, [[3, 7], [6], [1]])
    examples = plan(shard, "doc-packed", 8)
    rows = streams(shard, "doc-packed", 8, begin=True)
    shown = {tuple(row[row != PAD].tolist()) for n in range(len(examples)) for row in rows[n].tokens}
    assert shown == {
        (CLS, *range(10, 17)), (*range(17, 20), SEP), (CLS, *range(20, 26), SEP), (CLS, 26, SEP),
    }  # fmt: skip
    assert continues_document(examples, shard).tolist() == [False, True, False, False]


def test_a_row_of_only_a_final_special_token_continues_the_document(tmp_path: Path) -> None:
    shard = write_shard(tmp_path, [[8], [3]])
    examples = plan(shard, "doc-packed", 8, begin=False)
    assert examples.lengths.tolist() == [8, 1, 4]
    assert continues_document(examples, shard).tolist() == [False, True, False]
    packed = plan(shard, "packed", 8, begin=False)
    assert continues_document(packed, shard).tolist() == [False, True]


@pytest.mark.parametrize("both", [False, True])
def test_the_rows_of_a_stream_are_contiguous_text(tmp_path: Path, both: bool) -> None:
    """Each document of the shard is contained in a stream, forwards or reversed."""
    shard = write_shard(tmp_path, random_documents(np.random.default_rng(1), 12, 8))
    rows = streams(shard, "doc-packed", 32, both=both)
    lines: list[list[int]] = []
    running: dict[int, list[int]] = {}
    for n in range(rows.per_epoch):
        batch = rows[n]
        assert batch.continues is not None
        assert batch.from_right is not None
        for row, tokens in enumerate(batch.tokens):
            if not batch.continues[row]:
                lines.append(running.setdefault(row, []))
                running[row] = lines[-1] = []
            running[row] += tokens[tokens != PAD].tolist()
    pieces = {tuple(line) for line in lines}
    whole = [
        (*shard.tokens[start:stop].tolist(), SEP)
        for start, stop in zip(shard.documents[:-1], shard.documents[1:], strict=True)
    ]
    cut = 4  # streams; the document at the end of each may be cut in two
    assert sum(document in pieces for document in whole) >= len(whole) - cut
    assert not both or sum(document[::-1] in pieces for document in whole) >= len(whole) - cut


def test_all_columns_of_a_row_are_reversed(tmp_path: Path) -> None:
    shard = write_shard(tmp_path, [[3, 4], [2, 2]])
    batch = streams(shard, "doc-packed", 32, both=True)[0]
    assert batch.from_right is not None
    forward, backward = np.flatnonzero(~batch.from_right), np.flatnonzero(batch.from_right)
    for one in forward.tolist():
        text = batch.tokens[one][batch.tokens[one] != PAD]
        other = next(row for row in backward.tolist() if set(text) == set(batch.tokens[row]) - {PAD})
        size = len(text)
        for of in (batch.tokens, batch.sentences, batch.special, batch.entities, batch.units["word"]):
            assert_array_equal(of[one][:size], of[other][:size][::-1])
