"""Windows of held-out text: each piece of a document is to be predicted from the previous piece.

A document is cut into pieces of S tokens; the piece before each target is its prompt. For GPT this is a sliding window
with half overlap.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from kepipe.arrays import Ints
from kepipe.data.document import Document
from kepipe.probes.base import NothingToAsk
from kepipe.tokenization.tokenizer import Tokenizer

if TYPE_CHECKING:
    from kepipe.data.batch import NamedTokens


@dataclass(frozen=True)
class EvalWindows:
    """R pieces of held-out text, each with the piece before it.

    `prompts`, `targets`: tokens, int [≤ S]; `documents`: int [R]. `words` (starting after white space) and `bytes`
    (UTF-8) of the original text that each target covers, int [R]. `named`: the mentions that lie completely in each
    prompt; empty if documents are not linked.
    """

    prompts: tuple[Ints, ...]
    targets: tuple[Ints, ...]
    documents: Ints
    words: Ints
    bytes: Ints
    named: tuple[Sequence[NamedTokens], ...] = ()

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def tokens(self) -> Ints:
        """Number of tokens of each target, int [R]."""
        return np.array([len(target) for target in self.targets], np.int64)

    def only(self, chosen: Ints) -> EvalWindows:
        """A selection, in the given order."""
        return replace(
            self,
            prompts=tuple(self.prompts[row] for row in chosen),
            targets=tuple(self.targets[row] for row in chosen),
            documents=self.documents[chosen],
            words=self.words[chosen],
            bytes=self.bytes[chosen],
            named=tuple(self.named[row] for row in chosen) if self.named else (),
        )


def draw_windows(
    documents: Iterable[Document],
    tokenizer: Tokenizer,
    rng: np.random.Generator,
    length: int = 128,
    max_tokens: int = 40_000,
) -> EvalWindows:
    """Cut documents so that a prompt and its continuation fill `length` tokens; sample windows with about `max_tokens`
    tokens.

    Raises NothingToAsk if no document is longer than a prompt.
    """
    from kepipe.models.prompting import AROUND

    size = (length - AROUND) // 2
    cut = cut_windows(list(documents), tokenizer, size)
    if not len(cut):
        raise NothingToAsk(
            f"no held-out document has more than {size} tokens; lower `context` or hold out more"
        )
    return cut.only(np.sort(rng.permutation(len(cut))[: max(1, max_tokens // size)]))


def cut_windows(documents: list[Document], tokenizer: Tokenizer, size: int) -> EvalWindows:
    """All pieces of `size` tokens with a previous piece in their document, and the shorter last ones."""
    from kepipe.knowledge.name_matcher import to_tokens

    prompts, targets, named, of, words, sizes = [], [], [], [], [], []
    for number, document in enumerate(documents):
        encoded = tokenizer.encode([document.text])
        words_C, bytes_C = _measures(document.text)
        mentions = to_tokens(document.text, document.mentions, encoded.starts, encoded.ends)
        # A token covers the text up to the start of the next one, so that all text is counted exactly once.
        starts = np.append(encoded.starts, len(document.text))
        for start in range(size, len(encoded.tokens), size):
            stop = min(start + size, len(encoded.tokens))
            prompts.append(encoded.tokens[start - size : start])
            targets.append(encoded.tokens[start:stop])
            named.append(_within(mentions, start - size, start))
            of.append(number)
            words.append(words_C[starts[stop]] - words_C[starts[start]])
            sizes.append(bytes_C[starts[stop]] - bytes_C[starts[start]])
    documents_R, words_R, bytes_R = (np.array(values, np.int64) for values in (of, words, sizes))
    return EvalWindows(tuple(prompts), tuple(targets), documents_R, words_R, bytes_R, tuple(named))


def _within(mentions: Iterable[NamedTokens], first: int, stop: int) -> list[NamedTokens]:
    """The mentions whose tokens all lie in `first` … `stop`, with positions counted from `first`."""
    return [(begin - first, end - first, id) for begin, end, id in mentions if begin >= first and end <= stop]


def _measures(text: str) -> tuple[Ints, Ints]:
    """Number of words started, and of bytes, before each character of a text and at its end: int [characters + 1]."""
    codes_C = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    bytes_C = 1 + (codes_C >= 0x80) + (codes_C >= 0x800) + (codes_C >= 0x10000)
    space_C = np.fromiter((letter.isspace() for letter in text), np.bool_, len(text))
    begins_C = ~space_C & np.append(True, space_C[:-1])[: len(space_C)]
    return np.append(0, np.cumsum(begins_C)), np.append(0, np.cumsum(bytes_C))
