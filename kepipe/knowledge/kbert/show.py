"""The sentence tree of a single text, for display in the terminal, a page or a notebook."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kepipe.arrays import Bools, Ints
from kepipe.data.batch import MentionSpans
from kepipe.data.document import Mention
from kepipe.knowledge.choosing.choices import CHOICES
from kepipe.knowledge.choosing.chooser import Chosen
from kepipe.knowledge.kbert.injector import Injector
from kepipe.knowledge.kbert.settings import KBert
from kepipe.knowledge.kbert.tree import InjectedRows
from kepipe.knowledge.name_matcher import Dictionary, to_tokens
from kepipe.tokenization.tokenizer import Encoded, Tokenizer
from kg.store import Graph


class InjectedTriple(NamedTuple):
    """A chosen triple for display, with the number of its mention, from 1.

    `branch`: its branch number in the row, from 1; 0: there was no room. `rank`: its rank, from 1, among the `known`
    triples of its entity. `score`: by the ranking.
    """

    mention: int
    surface: str
    entity: str
    relation: str
    object: str
    branch: int
    rank: int
    known: int
    score: float


@dataclass(frozen=True)
class Shown:
    """A text's tree. `tokens`: as readable strings, in hard order; `visible`: bool [T, T], query by key."""

    text: str
    tokens: list[str]
    injected: InjectedRows
    visible: Bools
    hung: list[InjectedTriple]
    choice: str
    causal: bool


def show(
    text: str,
    graph: Graph,
    settings: KBert,
    tokenizer: Tokenizer | None = None,
    *,
    mentions: Sequence[Mention] | None = None,
    causal: bool = False,
    vectors: Path | None = None,
) -> Shown:
    """Inject the graph into a text. Without `mentions`, the graph's names are matched.

    Without a tokenizer, tokens are words and Chinese characters. Raises ValueError if no entity of the graph is
    mentioned.
    """
    named = Dictionary(graph).find(text) if mentions is None else tuple(mentions)
    if not named:
        raise ValueError(f"{text!r}: mentions no entity of the graph that has a triple")
    tokenizer = tokenizer or word_tokenizer([text, *_labels(graph, named)])
    encoded = tokenizer.encode([text])
    first, last = ([] if causal else [tokenizer.cls]), [] if causal else [tokenizer.sep]
    tokens = np.array([[*first, *encoded.tokens, *last]])
    placed = to_tokens(text, named, encoded.starts, encoded.ends, offset=len(first))
    lengths = np.array([tokens.shape[1]])
    spans = MentionSpans(
        np.zeros(len(placed), np.int64), *np.array([span[:2] for span in placed], np.int64).reshape(-1, 2).T
    )
    injector = Injector(graph, tokenizer, settings, causal=causal, vectors=vectors)
    entities = np.array([injector.chooser.row(span[2]) for span in placed], np.int64)
    chosen = injector.choose(tokens, lengths, spans, entities)
    injected = injector.attach_triples(tokens, lengths, spans, chosen)
    surfaces = [
        text[encoded.starts[begin - len(first)] : encoded.ends[stop - 1 - len(first)]].strip()
        for begin, stop, _ in placed
    ]
    return Shown(
        text,
        _read(tokenizer, injected, text, encoded, len(first)),
        injected,
        _visible(injector.descriptors(injected), injected.tokens.shape[1], causal),
        list(
            _injected_triples(graph, chosen, injected.kept, surfaces, injector.chooser.facts.count(entities))
        ),
        settings.choice,
        causal,
    )


def _injected_triples(
    graph: Graph, chosen: Chosen, kept: Bools, surfaces: Sequence[str], known: Ints
) -> Iterator[InjectedTriple]:
    """The chosen triples for display. `surfaces`, `known`: the text and the number of triples of each mention."""
    branches, ranks = np.cumsum(kept), Counter[int]()
    for number, (anchor, triple, score) in enumerate(
        zip(chosen.mentions.tolist(), chosen.triples.tolist(), chosen.scores.tolist(), strict=True)
    ):
        head, relation, tail = triple
        ranks[anchor] += 1
        yield InjectedTriple(
            anchor + 1,
            surfaces[anchor],
            graph.labels[head],
            graph.relation(relation).label,
            graph.labels[tail],
            int(branches[number]) if kept[number] else 0,
            ranks[anchor],
            int(known[anchor]),
            score,
        )


def reason(hung: InjectedTriple, choice: str) -> str:
    """Why a triple was chosen, in words."""
    of = f"{hung.rank}. of {hung.known}"
    if not CHOICES[choice].scored:
        return f"{of} in {CHOICES[choice].about}"
    return f"{of} by {CHOICES[choice].about}: {hung.score:.3g}"


def word_tokenizer(texts: Iterable[str]) -> Tokenizer:
    """A word-level tokenizer with the words of these texts and each of their Chinese characters."""
    from tokenizers import Tokenizer as Backend
    from tokenizers import models, normalizers, pre_tokenizers

    normalise = normalizers.BertNormalizer(lowercase=False, strip_accents=False)
    split = pre_tokenizers.BertPreTokenizer()
    pieces = {piece for text in texts for piece, _ in split.pre_tokenize_str(normalise.normalize_str(text))}
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = {piece: row for row, piece in enumerate([*special, *sorted(pieces - set(special))])}
    backend = Backend(models.WordLevel(vocabulary, unk_token="[UNK]"))
    backend.normalizer, backend.pre_tokenizer = normalise, split
    return Tokenizer(backend, dict(zip(("pad", "unk", "cls", "sep", "mask"), special, strict=True)))


def _labels(graph: Graph, mentions: Iterable[Mention]) -> Iterable[str]:
    """The labels that can occur in branches of these mentions."""
    for id in {mention.entity for mention in mentions}:
        for _, relation, tail in graph.by_head(graph.row(id)).tolist():
            yield graph.relation(relation).label
            yield graph.labels[tail]


def _read(
    tokenizer: Tokenizer, injected: InjectedRows, text: str, encoded: Encoded, offset: int
) -> list[str]:
    """Readable tokens: those of the text as written, those of branches as in the vocabulary."""
    words = [str(tokenizer.backend.id_to_token(int(id))) for id in injected.tokens[0]]
    for place, (start, end) in enumerate(zip(encoded.starts.tolist(), encoded.ends.tolist(), strict=True)):
        at = int(injected.places[0, place + offset])
        if at >= 0:
            words[at] = text[start:end].strip() or words[at]
    return [word.removeprefix("##").lstrip("Ġ▁") or word for word in words]


def _visible(descriptors: Mapping[str, Ints | None], T: int, causal: bool) -> Bools:
    """The attention mask from the row's descriptors: bool [T, T], query by key."""
    import torch

    from kepipe.nn.visibility import by_name

    branch, mention = (
        None if descriptors[name] is None else torch.tensor(descriptors[name])
        for name in ("branch", "mention")
    )
    rule = by_name("causal" if causal else "full", branch_BT=branch, mention_BT=mention)
    seen_1TT = rule.dense(1, T, T)
    return np.ones((T, T), np.bool_) if seen_1TT is None else seen_1TT[0].numpy()
