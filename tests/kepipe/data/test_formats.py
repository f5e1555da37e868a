from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kepipe.data.alignment import LEVELS, SENTENCE
from kepipe.data.batch import TokenRows
from kepipe.data.examples import Examples
from kepipe.data.formats import plan
from kepipe.data.row_batches import SpecialTokens, gather
from kepipe.data.shards import Shard
from tests.support.shards import random_documents, write_shard

PAD, CLS, SEP = 0, 1, 2
FRAME = SpecialTokens(PAD, CLS, SEP)


def rendered(shard: Shard, examples: Examples) -> TokenRows:
    return gather(shard, examples, np.arange(len(examples)), FRAME)


def shown(sequences: TokenRows) -> list[list[int]]:
    return [row[row != PAD].tolist() for row in sequences.tokens]


def shard_of(tmp: Path, documents: list[list[int]], seed: int = 0) -> Shard:
    return write_shard(tmp, documents, np.random.default_rng(seed))


def test_full_sentences_cross_documents_with_a_separator(tmp_path: Path) -> None:
    shard = shard_of(tmp_path, [[3, 2], [2, 5], [12]])
    assert shown(rendered(shard, plan(shard, "full-sentences", 11))) == [
        [CLS, 10, 11, 12, 13, 14, SEP, 15, 16, SEP],
        [
            CLS,
            17,
            18,
            19,
            20,
            21,
            SEP,
        ],  # the last document is cut at 9 tokens: with its part the row would be 17
        [CLS, 22, 23, 24, 25, 26, 27, 28, 29, 30, SEP],
        [CLS, 31, 32, 33, SEP],
    ]


def test_doc_sentences_end_with_their_document(tmp_path: Path) -> None:
    shard = shard_of(tmp_path, [[3, 2], [2, 5], [12]])
    assert shown(rendered(shard, plan(shard, "doc-sentences", 10, begin=False))) == [
        [10, 11, 12, 13, 14, SEP],
        [15, 16, 17, 18, 19, 20, 21, SEP],
        [*range(22, 31), SEP],
        [31, 32, 33, SEP],
    ]


def test_packed_rows_are_full_and_cut_the_stream(tmp_path: Path) -> None:
    shard = shard_of(tmp_path, [[3], [6], [1]])
    sequences = rendered(shard, plan(shard, "packed", 8, document_mask=True))
    assert shown(sequences) == [
        [CLS, 10, 11, 12, SEP, CLS, 13, 14],
        [15, 16, 17, 18, SEP, CLS, 19, SEP],
    ]
    assert sequences.documents.tolist() == [[1] * 5 + [2] * 3, [1] * 5 + [2] * 3]
    assert sequences.special.astype(int).tolist() == [[1, 0, 0, 0, 1, 1, 0, 0], [0, 0, 0, 0, 1, 1, 0, 1]]
    causal = rendered(shard, plan(shard, "packed", 8, begin=False))
    assert shown(causal) == [[10, 11, 12, SEP, 13, 14, 15, 16], [17, 18, SEP, 19, SEP]]
    assert causal.documents.max() == 1


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), length=st.integers(8, 70))
def test_full_sentences_fill_rows_greedily(
    tmp_path_factory: pytest.TempPathFactory, seed: int, length: int
) -> None:
    rng = np.random.default_rng(seed)
    documents = random_documents(rng, 8, longest=length - 2)
    shard = write_shard(tmp_path_factory.mktemp("shard"), documents, rng)
    expected: list[list[int]] = []
    row: list[int] = [CLS]
    token, opened = 10, False
    for sentences in documents:
        fresh = True
        for size in sentences:
            separator = int(fresh and opened)
            if opened and len(row) + separator + size + 1 > length:
                expected.append([*row, SEP])
                row, separator = [CLS], 0
            row += [SEP] * separator + list(range(token, token + size))
            token, fresh, opened = token + size, False, True
    expected.append([*row, SEP])
    assert shown(rendered(shard, plan(shard, "full-sentences", length))) == expected


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1),
    length=st.integers(8, 60),
    format=st.sampled_from(["full-sentences", "doc-sentences", "packed"]),
    begin=st.booleans(),
    document_mask=st.booleans(),
)
def test_every_token_is_in_one_row_within_the_length(
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    length: int,
    format: str,
    begin: bool,
    document_mask: bool,
) -> None:
    rng = np.random.default_rng(seed)
    shard = write_shard(tmp_path_factory.mktemp("shard"), random_documents(rng, 6), rng)
    examples = plan(shard, format, length, begin=begin, document_mask=document_mask)  # type: ignore[arg-type]
    sequences = rendered(shard, examples)
    assert examples.lengths.tolist() == (sequences.documents > 0).sum(axis=1).tolist()
    assert examples.lengths.max() <= length
    assert sequences.tokens[~sequences.special].tolist() == shard.tokens.tolist()
    check_against_the_stream(sequences, shard)


def check_against_the_stream(sequences: TokenRows, shard: Shard) -> None:
    """Check units, sentences and entities of each row token by token against the shard's bounds."""
    for row in range(len(sequences.tokens)):
        for bit, numbers in (
            (SENTENCE, sequences.sentences),
            *((b, sequences.units[n]) for n, b in LEVELS.items()),
        ):
            unit, before = -1, None
            for column, token in enumerate(sequences.tokens[row].tolist()):
                if sequences.special[row, column]:
                    assert numbers[row, column] == -1
                    before = None
                    continue
                place = token - 10
                unit += before is None or place != before + 1 or bool(shard.bounds[place] & bit)
                assert numbers[row, column] == unit
                before = place
        text = ~sequences.special[row]
        assert (sequences.entities[row][text] == shard.entities[sequences.tokens[row][text] - 10]).all()
        assert (sequences.entities[row][~text] == -1).all()


@pytest.mark.parametrize("format", ["segment-pair", "sentence-pair"])
def test_true_pairs_are_adjacent_and_false_ones_are_from_other_documents(tmp_path: Path, format: str) -> None:
    rng = np.random.default_rng(3)
    shard = shard_of(tmp_path, random_documents(rng, 300))
    examples = plan(shard, format, 64, seed=1)  # type: ignore[arg-type]
    assert examples.lengths.max() <= 64
    assert examples.next_sentence_labels is not None
    a, b = (examples.starts[side::2] for side in (0, 1))
    a_to, b_to = (examples.stops[side::2] for side in (0, 1))
    assert (a < a_to).all()
    assert (b < b_to).all()
    of_a, of_b = (np.searchsorted(shard.documents, side, side="right") for side in (a, b))
    true = examples.next_sentence_labels == 1
    assert (of_a[true] == of_b[true]).all()
    assert (a_to[true] <= b[true]).all()
    assert (of_a[~true] != of_b[~true]).all()
    assert abs(true.mean() - 0.5) < 4 * np.sqrt(0.25 / len(true))
    sequences = rendered(shard, examples)
    check_against_the_stream(sequences, shard)
    assert (sequences.tokens[:, 0] == CLS).all()
    assert ((sequences.tokens == SEP).sum(axis=1) == 2).all()
    assert (sequences.segments[np.arange(len(a)), examples.lengths - 1] == 1).all()


def test_a_tenth_of_the_pairs_are_short(tmp_path: Path) -> None:
    shard = shard_of(tmp_path, [[4] * 8000 for _ in range(3)])
    lengths = plan(shard, "segment-pair", 128).lengths
    # A pair with the maximum target length lacks less than a sentence, or ends with its document.
    assert 0.06 < (lengths < 120).mean() < 0.14


def test_sentence_pairs_are_single_sentences(tmp_path: Path) -> None:
    shard = shard_of(tmp_path, [[4, 5, 6, 7], [3, 3, 8]])
    examples = plan(shard, "sentence-pair", 64)
    assert set(examples.starts.tolist()) <= set(shard.sentences.tolist())
    assert set(examples.stops.tolist()) <= set(shard.sentences.tolist())


def test_pairs_need_two_documents_and_two_sentences(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="2 documents"):
        plan(shard_of(tmp_path / "one", [[5, 5]]), "segment-pair", 32)
    with pytest.raises(ValueError, match="two sentences"):
        plan(shard_of(tmp_path / "lines", [[5], [5]]), "segment-pair", 32)


def test_a_row_too_short_or_an_empty_shard_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 8"):
        plan(shard_of(tmp_path / "a", [[5]]), "packed", 4)
    with pytest.raises(ValueError, match="empty"):
        plan(shard_of(tmp_path / "b", []), "packed", 16)
