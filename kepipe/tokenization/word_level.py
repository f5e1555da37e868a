"""Word-level tokenizers from a list of words."""

from __future__ import annotations

from collections.abc import Sequence

from kepipe.tokenization.tokenizer import Tokenizer
from kepipe.tokenization.trainers import BERT_NAMES


def words_tokenizer(words: Sequence[str]) -> Tokenizer:
    """A tokenizer with these words, in this order: `<unk>`, `<s>` and `</s>` first."""
    from tokenizers import Tokenizer as Backend
    from tokenizers import models, pre_tokenizers

    backend = Backend(models.WordLevel({word: row for row, word in enumerate(words)}, unk_token=words[0]))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    special = [*words[:3]]
    backend.add_special_tokens(special)
    return Tokenizer(backend, dict(zip(("unk", "cls", "sep"), special, strict=True)))


def word_level_tokenizer(words: Sequence[str]) -> Tokenizer:
    """A word-level tokenizer with BERT's special tokens and pre-tokenizer. Texts are lower-cased if no word has a
    capital."""
    from tokenizers import Tokenizer as Backend
    from tokenizers import models, normalizers, pre_tokenizers

    special = [*BERT_NAMES.values()]
    vocabulary = {word: row for row, word in enumerate(dict.fromkeys([*special, *words]))}
    lowercase = not any(word != word.lower() for word in words if word not in special)
    backend = Backend(models.WordLevel(vocabulary, unk_token=BERT_NAMES["unk"]))
    backend.normalizer = normalizers.BertNormalizer(lowercase=lowercase, strip_accents=False)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.add_special_tokens(special)
    return Tokenizer(backend, dict(BERT_NAMES))
