import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kepipe.data.text_files import TextFiles
from kepipe.model_names import minilm_folder
from kepipe.tokenization.table import KINDS
from kepipe.tokenization.tokenizer import Tokenizer, load_tokenizer
from kepipe.tokenization.training import train_tokenizer

TEXTS = [
    "Paris (Texas) is a city in Lamar County. [MASK] stands for nothing.",
    "The café serves naïve résumés; un été à Genève.",
    "北京大学在中国北京。",
    *(f"the number {n} is followed by the number {n + 1}" for n in range(200)),
]


@pytest.fixture(scope="module", params=KINDS)
def trained(request: pytest.FixtureRequest) -> Tokenizer:
    return train_tokenizer(TEXTS, request.param, 500)


def test_trained_ids_stay_in_the_vocabulary_and_cover_the_text(trained: Tokenizer) -> None:
    encoded = trained.encode(TEXTS)
    assert encoded.tokens.max() < trained.vocab_size <= 500
    assert encoded.lengths.sum() == len(encoded.tokens)
    first = encoded.lengths[0]
    covered = {
        c for a, b in zip(encoded.starts[:first], encoded.ends[:first], strict=True) for c in range(a, b)
    }
    assert {i for i, c in enumerate(TEXTS[0]) if c != " "} <= covered
    assert (encoded.tokens == trained.role("unk")).mean() < 0.02


def test_special_tokens_in_a_text_are_text(trained: Tokenizer) -> None:
    for name in trained.named.values():
        assert (
            trained.id(name) not in trained.encode([f"a {name} b"]).tokens.tolist()
            or name == trained.named["unk"]
        )


def test_special_and_ordinary_ids_partition_the_vocabulary(trained: Tokenizer) -> None:
    assert len(trained.sentinels) == 100
    assert {trained.pad, trained.cls, trained.sep, trained.mask} <= set(trained.special.tolist())
    assert not np.intersect1d(trained.special, trained.ordinary).size
    assert len(trained.special) + len(trained.ordinary) == trained.vocab_size


def test_a_saved_tokenizer_is_the_same_and_transformers_reads_it(trained: Tokenizer, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    trained.save(tmp_path)
    again = load_tokenizer(tmp_path)
    assert again.named == trained.named
    assert again.encode(TEXTS).tokens.tolist() == trained.encode(TEXTS).tokens.tolist()
    assert again.special.tolist() == trained.special.tolist()
    other = AutoTokenizer.from_pretrained(tmp_path)
    assert (
        other(TEXTS[1], add_special_tokens=False)["input_ids"] == trained.encode([TEXTS[1]]).tokens.tolist()
    )
    assert (other.pad_token_id, other.mask_token_id) == (trained.pad, trained.mask)


def test_training_gives_the_same_bytes_in_every_process() -> None:
    code = (
        "from kepipe.tokenization.training import train_tokenizer\n"
        "import json, sys\n"
        "texts = json.loads(sys.argv[1])\n"
        "for kind in ('wordpiece', 'bpe', 'characters'):\n"
        "    print(train_tokenizer(texts, kind, 500).backend.to_str())"
    )
    run = [sys.executable, "-c", code, json.dumps(TEXTS)]
    made = {subprocess.run(run, capture_output=True, check=True).stdout for _ in range(3)}
    assert len(made) == 1


def test_words_begin_where_pre_tokenisation_splits() -> None:
    minilm = load_tokenizer("minilm")
    encoded = minilm.encode(["Travolta (Paris)", "", "x"])
    assert encoded.words.astype(int).tolist() == [1, 0, 0, 0, 1, 1, 1, 1]
    assert encoded.lengths.tolist() == [7, 0, 1]


def test_minilm_is_the_package_s_own_tokenizer() -> None:
    from transformers import AutoTokenizer

    minilm, other = load_tokenizer("minilm"), AutoTokenizer.from_pretrained(minilm_folder())
    assert minilm.vocab_size == len(other) == 30522
    ids = minilm.encode([TEXTS[0].replace("[MASK]", "It"), TEXTS[1]])
    expected = [
        other(t, add_special_tokens=False)["input_ids"] for t in (TEXTS[0].replace("[MASK]", "It"), TEXTS[1])
    ]
    assert ids.tokens.tolist() == expected[0] + expected[1]
    assert minilm.id("[unused0]") == minilm.sentinels[0]
    assert minilm.id("[unused5]") not in minilm.ordinary


@pytest.mark.parametrize(("pieces", "text", "tokens"), [
    (["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "paris", "中"], "PARIS中", ["paris", "中"]),
    (["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "Paris", "paris"], "Paris", ["Paris"]),
])  # fmt: skip
def test_the_case_of_a_vocabulary_is_detected(
    tmp_path: Path, pieces: list[str], text: str, tokens: list[str]
) -> None:
    file = tmp_path / "vocab.txt"
    file.write_text("\n".join(pieces), encoding="utf-8")
    tokenizer = load_tokenizer(file)
    assert [tokenizer.backend.id_to_token(int(t)) for t in tokenizer.encode([text]).tokens] == tokens
    assert load_tokenizer(tmp_path).named == tokenizer.named


def test_pieces_of_a_vocabulary_may_be_unicode_line_ends(tmp_path: Path) -> None:
    pieces = ["[PAD]", "[UNK]", "\u2028", "\x85", "[CLS]", "[SEP]", "[MASK]", "paris"]
    (tmp_path / "vocab.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")
    tokenizer = load_tokenizer(tmp_path)
    assert (tokenizer.vocab_size, tokenizer.id("paris"), tokenizer.mask) == (8, 7, 6)


def test_any_white_space_separates_words_of_unigram() -> None:
    """As in SentencePiece: without it, pieces such as ".\\nThe" are learnt."""
    lines = [f"The rose {n}.\nThe\tend of  it\n\n" for n in range(100)]
    tokenizer = train_tokenizer(lines, "unigram", 300, lowercase=False)
    pieces = tokenizer.backend.get_vocab(with_added_tokens=True)
    assert not [piece for piece in pieces if any(letter.isspace() for letter in piece)]
    same = tokenizer.encode([" The rose.\n\nThe end of\tit.\n", "The rose. The end of it."])
    first, second = np.split(same.tokens, [same.lengths[0]])
    assert first.tolist() == second.tolist()


def test_invalid_tokenizers_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no tokenizer\.json"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ValueError, match=r"tokenizer\.json: not a tokenizer"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text("[")
    with pytest.raises(ValueError, match="not JSON"):
        load_tokenizer(tmp_path)
    with pytest.raises(ValueError, match="expected a tokenizer"):
        load_tokenizer(tmp_path / "missing")
    (tmp_path / "words.txt").write_text("a\nb\n")
    with pytest.raises(ValueError, match=r"\[UNK\]"):
        load_tokenizer(tmp_path / "words.txt")
    with pytest.raises(ValueError, match="no `mask`"):
        Tokenizer(train_tokenizer(TEXTS, "bpe", 500).backend, {"pad": "<pad>"}).mask  # noqa: B018


@pytest.mark.parametrize("kind", KINDS)
def test_no_text_and_too_small_a_vocabulary_are_an_error(kind: str) -> None:
    with pytest.raises(ValueError, match="no text"):
        train_tokenizer([" ", ""], kind, 500)
    if kind != "unigram":
        with pytest.raises(ValueError, match="too small"):
            train_tokenizer(TEXTS, kind, 110)


def test_texts_of_files(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\ntwo\n", encoding="utf-8")
    (tmp_path / "b.jsonl").write_text(json.dumps({"id": "d", "text": "three"}) + "\n", encoding="utf-8")
    texts = TextFiles((tmp_path / "a.txt", tmp_path / "b.jsonl"))
    assert list(texts) == list(texts) == ["one", "two", "three"]
    (tmp_path / "c.txt").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(ValueError, match=r"c\.txt: not a UTF-8"):
        list(TextFiles((tmp_path / "c.txt",)))
