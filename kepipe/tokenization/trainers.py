"""The trainers of tokenizers: WordPiece, byte-level BPE, Unigram, whole words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from kepipe.tokenization import byte_letters
from kepipe.tokenization.tokenizer import ROLES, SENTINELS, Tokenizer

if TYPE_CHECKING:
    from tokenizers import Tokenizer as Backend

BERT_NAMES = {role: f"[{role.upper()}]" for role in ROLES}
ROBERTA_NAMES = {"cls": "<s>", "pad": "<pad>", "sep": "</s>", "unk": "<unk>", "mask": "<mask>"}
RARE = 0.0005
"""Share of a corpus's characters that `wordpiece` may exclude from its alphabet: the rarest ones."""


def _specials(names: dict[str, str]) -> list[str]:
    return [*names.values(), *(f"<extra_id_{k}>" for k in range(SENTINELS))]


def wordpiece(texts: Iterable[str], size: int, lowercase: bool, whole_alphabet: bool) -> Tokenizer:
    """WordPiece over the characters that are not rare, or over the whole alphabet of `texts`, which are read twice.

    Each Chinese character is a word, as in BERT.
    """
    from tokenizers import Tokenizer as Backend
    from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers

    assert iter(texts) is not texts, "the alphabet is counted first: the texts are read twice"
    backend = Backend(models.WordPiece(unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=lowercase, strip_accents=lowercase)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = _specials(BERT_NAMES)
    counts = _count_characters(backend.normalizer, texts)
    alphabet = sorted(counts) if whole_alphabet else _frequent(counts)
    # The trainer numbers "##x" pieces in the order of a hash map, which differs between runs and decides
    # ties. Passed as special tokens, they keep their order.
    inner = [f"##{letter}" for letter in alphabet if not _stands_alone(letter)]
    if len(special) + len(alphabet) + len(inner) > size:
        raise ValueError(
            f"a vocabulary of {size} is too small: {len(special)} special tokens, {len(alphabet)} characters and "
            f"their {len(inner)} word-internal forms do not fit; choose at least {2 * (len(alphabet) + len(inner))}"
        )
    fixed_pieces = [*alphabet, *inner]
    trainer = trainers.WordPieceTrainer(
        vocab_size=size, special_tokens=[*special, *fixed_pieces], initial_alphabet=alphabet,
        limit_alphabet=len(alphabet), show_progress=False,
    )  # fmt: skip
    backend.train_from_iterator(texts, trainer)
    pieces = sorted(backend.get_vocab(with_added_tokens=False).items(), key=lambda entry: entry[1])
    complete = _with_specials(
        backend, models.WordPiece(dict(pieces), unk_token="[UNK]"), special, decoders.WordPiece()
    )
    return Tokenizer(complete, dict(BERT_NAMES))


def _with_specials(trained: Backend, model: Any, special: list[str], decoder: Any) -> Backend:
    """The trained vocabulary, with exactly the special tokens marked as special."""
    from tokenizers import Tokenizer as Backend

    backend = Backend(model)
    backend.normalizer, backend.pre_tokenizer, backend.decoder = (
        trained.normalizer,
        trained.pre_tokenizer,
        decoder,
    )
    backend.add_special_tokens(special)
    return backend


def byte_level(texts: Iterable[str], size: int) -> Tokenizer:
    """BPE of bytes, which keeps case."""
    from tokenizers import Tokenizer as Backend
    from tokenizers import decoders, models, pre_tokenizers, processors, trainers

    special, alphabet = _specials(ROBERTA_NAMES), pre_tokenizers.ByteLevel.alphabet()
    if len(special) + len(alphabet) >= size:
        raise ValueError(f"a byte-level vocabulary of {size} is too small: choose at least 1000")
    backend = Backend(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.post_processor = processors.ByteLevel(trim_offsets=True)
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=special, initial_alphabet=sorted(alphabet), show_progress=False
    )
    backend.train_from_iterator(_nonempty(texts), trainer)
    return Tokenizer(backend, dict(ROBERTA_NAMES))


def unigram(texts: Iterable[str], size: int, lowercase: bool) -> Tokenizer:
    """SentencePiece's unigram model; the trainer breaks ties differently from process to process."""
    from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers, trainers
    from tokenizers import Tokenizer as Backend

    backend = Backend(models.Unigram())
    steps = [normalizers.NFKC(), *([normalizers.Lowercase()] if lowercase else [])]
    # as SentencePiece does: otherwise the end of a line is an ordinary character, and pieces such as ".\nThe" are
    # learned
    spaces = [normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()]
    backend.normalizer = normalizers.Sequence([*steps, *spaces])
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Metaspace()
    special = _specials(ROBERTA_NAMES)
    trainer = trainers.UnigramTrainer(
        vocab_size=size, special_tokens=special, unk_token="<unk>", show_progress=False
    )
    backend.train_from_iterator(_nonempty(texts), trainer)
    return Tokenizer(backend, dict(ROBERTA_NAMES))


def words(texts: Iterable[str], size: int, lowercase: bool) -> Tokenizer:
    """The most frequent words and punctuation marks, split by BERT's pre-tokenizer: each Chinese character is a word.
    All others are unknown."""
    special = _specials(BERT_NAMES)
    if size < 2 * len(special):
        raise ValueError(
            f"a vocabulary of {size} is too small: {len(special)} special tokens are in it; choose at least 1000"
        )
    return Tokenizer(_count_words(texts, size, lowercase, special), dict(BERT_NAMES))


def words_or_bytes(texts: Iterable[str], size: int, lowercase: bool) -> Tokenizer:
    """As `words`, but other words are encoded byte by byte after an opening token, so that any text can be encoded
    without loss."""
    special = _specials(BERT_NAMES)
    if size <= len(special) + 256:
        raise ValueError(
            f"a vocabulary of {size} is too small: {len(special)} special tokens and 256 bytes are in it; choose at "
            "least 1000"
        )
    counted = _count_words(texts, size - 256, lowercase, special)
    known = sorted(counted.get_vocab(with_added_tokens=False).items(), key=lambda entry: entry[1])
    return words_or_bytes_tokenizer([word for word, _ in known[len(special) :]], lowercase=lowercase)


def _count_words(texts: Iterable[str], size: int, lowercase: bool, special: list[str]) -> Backend:
    """A tokenizer of the most frequent words, the special ones first."""
    from tokenizers import Tokenizer as Backend
    from tokenizers import models, normalizers, pre_tokenizers, trainers

    backend = Backend(models.WordLevel(unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=lowercase, strip_accents=lowercase)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordLevelTrainer(vocab_size=size, special_tokens=special, show_progress=False)
    backend.train_from_iterator(_nonempty(texts), trainer)
    return backend


def words_or_bytes_tokenizer(words: Sequence[str], *, lowercase: bool = False) -> Tokenizer:
    """A tokenizer of these words, in this order, after special tokens and bytes (see `words_or_bytes`)."""
    from tokenizers import Tokenizer as Backend
    from tokenizers import decoders, models, normalizers, pre_tokenizers

    special = _specials(BERT_NAMES)
    alphabet = sorted(byte_letters.letters())
    names = dict.fromkeys([*special, *alphabet, *(byte_letters.written(f" {word}") for word in words)])
    vocabulary = {name: row for row, name in enumerate(names)}
    backend = Backend(models.BPE(vocabulary, [], ignore_merges=True))
    backend.normalizer = normalizers.BertNormalizer(lowercase=lowercase, strip_accents=lowercase)
    cut, write = (
        pre_tokenizers.BertPreTokenizer(),
        pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=False),
    )
    backend.pre_tokenizer = pre_tokenizers.Sequence([cut, write])
    backend.decoder = decoders.Sequence([decoders.ByteLevel(), decoders.Strip(" ", 1, 0)])
    backend.add_special_tokens(special)
    return Tokenizer(backend, dict(BERT_NAMES))


def _nonempty(texts: Iterable[str]) -> Iterator[str]:
    """The texts; ValueError if none has a character."""
    found = False
    for text in texts:
        found = found or bool(text.strip())
        yield text
    if not found:
        raise ValueError("no text to train a tokenizer on")


def _count_characters(normalizer: Any, texts: Iterable[str]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for text in _nonempty(texts):
        counts.update(normalizer.normalize_str(text))
    return Counter({letter: count for letter, count in counts.items() if not letter.isspace()})


def _frequent(counts: Counter[str]) -> list[str]:
    """Characters without the rarest ones, which together make up a share RARE, in the order of Unicode."""
    rare, budget = set(), RARE * counts.total()
    for letter, count in sorted(counts.items(), key=lambda entry: (entry[1], entry[0])):
        budget -= count
        if budget < 0:
            break
        rare.add(letter)
    return sorted(counts.keys() - rare)


def _stands_alone(letter: str) -> bool:
    """Whether BERT's pre-tokenizer always cuts around the character, so that no "##" piece of it can occur."""
    import unicodedata

    code = ord(letter)
    han = 0x3400 <= code <= 0x9FFF or 0xF900 <= code <= 0xFAFF or 0x20000 <= code <= 0x3FFFF
    ascii_symbol = code < 128 and not letter.isalnum()
    return han or ascii_symbol or unicodedata.category(letter).startswith("P")
