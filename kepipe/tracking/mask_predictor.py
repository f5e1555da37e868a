"""MLflow predictions of a masked language model: the most likely fillings of each mask, as a table.

Entities that the text names are linked, and their knowledge reaches the model, as in its training.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import torch

from kepipe.data.batch import Batch, Mentions, NamedTokens
from kepipe.device import resolve
from kepipe.finetuning.markup import parse_markup
from kepipe.finetuning.mention_finders import Finder, Language, finder_for, language_of
from kepipe.inference.added_knowledge import OWN, AddedKnowledge
from kepipe.inference.opening import OpenedModel, open_model
from kepipe.knowledge.name_matcher import to_tokens
from kepipe.tracking.texts import texts_of

if TYPE_CHECKING:
    import pandas as pd

    from kepipe.data.document import Mention

COLUMNS = ("text", "place", "prediction", "probability")
BATCH_SIZE = 32
"""Texts per forward pass."""


class MaskedText(NamedTuple):
    """A text with its masks, without markup: token ids with the special tokens at both ends, and its mentions with the
    tokens of each; None: nothing looks for any."""

    text: str
    ids: Sequence[int]
    named: Sequence[NamedTokens]
    mentions: Sequence[Mention] | None


class MaskPredictor:
    """A masked language model; MLflow calls `predict`.

    `linker`, `graph`: what finds entities, instead of the linker in the model's folder. In a text for a model that uses
    entities they can be marked too, `[[Warsaw||Q270]]`. Without entities, masks are filled from the text alone.
    """

    def __init__(self, opened: OpenedModel, linker: Path | None = None, graph: Path | None = None) -> None:
        if opened.masked_language_model is None:
            raise ValueError(f"{opened.folder}: this model does not fill masks")
        if opened.knowledge is None and (linker is not None or graph is not None):
            raise ValueError(
                f"{opened.folder}: this model uses no knowledge: leave linker and graph out, or say how they are used "
                "(--knowledge)"
            )
        self._model, self._knowledge = opened.masked_language_model, opened.knowledge
        self._tokenizer = self._model.tokenizer
        self._mask = self._tokenizer.named["mask"]
        self._sources = (opened.folder, linker, graph)
        self._finders: dict[Language, Finder | None] = {}

    @classmethod
    def load(cls, folder: Path, added: AddedKnowledge | None = OWN, linker: Path | None = None) -> Self:
        """The model in a folder, with the knowledge stored there and what is `added` (None: without any).

        Raises ValueError for a model that does not fill masks, and for knowledge that does not fit it.
        """
        graph = None if added is None else added.folders.get("graph")
        used = None if added is None else replace(added, predicting=True)
        return cls(open_model(folder, resolve("auto"), added=used), linker, graph)

    @property
    def takes_entities(self) -> bool:
        """Whether the model uses entities."""
        return self._knowledge is not None

    def predict(self, model_input: Any, params: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """One row for each of the `top` most likely fillings of each mask of each text, the most likely first.

        `text` and `place` are 0-based indices of the text and of the mask in it. Raises ValueError for a text without a
        mask or too long for the model.
        """
        import pandas as pd

        found = self.records(texts_of(model_input), int((params or {}).get("top", 5)))
        rows = [
            (number, place, filling["token"], filling["probability"])
            for number, record in enumerate(found)
            for place, fillings in enumerate(record["masks"])
            for filling in fillings
        ]
        return pd.DataFrame(rows, columns=list(COLUMNS))

    def records(self, texts: Sequence[str], top: int = 5) -> list[dict[str, Any]]:
        """A record of each text: `predicted`, the likeliest token of each mask; `masks`, the `top` likeliest of each
        with their probabilities; `entities`, if the model uses them. Raises ValueError as `predict` does."""
        found = []
        for start in range(0, len(texts), BATCH_SIZE):
            read = self._read(texts[start : start + BATCH_SIZE], start)
            for sentence, masks in zip(read, self._answer(read, start, top), strict=True):
                record: dict[str, Any] = {
                    "predicted": [filling[0]["token"] for filling in masks],
                    "masks": masks,
                }
                if sentence.mentions is not None:
                    record["entities"] = self._entities(sentence.text, sentence.mentions)
                found.append(record)
        return found

    @torch.inference_mode()
    def _answer(
        self, sentences: Sequence[MaskedText], start: int, top: int
    ) -> list[list[list[dict[str, Any]]]]:
        """Text → mask → fillings."""
        batch, rows = self._batch(sentences)
        named = [sentence.named for sentence in sentences]
        if self._knowledge is not None:
            asked = len(rows)
            batch = self._knowledge.apply(batch, Mentions.in_rows(named))
            assert batch.label_positions is not None
            if len(batch.label_positions) < asked:
                raise ValueError(
                    f"texts {start} to {start + len(sentences) - 1}: too long for facts beside them"
                )
        probabilities_NV = self._model.masked_logits(batch).softmax(-1)
        likeliest = probabilities_NV.topk(min(top, probabilities_NV.shape[1]))
        answers: list[list[list[dict[str, Any]]]] = [[] for _ in sentences]
        for row, ids, values in zip(rows, likeliest.indices.tolist(), likeliest.values.tolist(), strict=True):
            answers[row].append(
                [
                    {"token": self._tokenizer.decode([token]), "probability": value}
                    for token, value in zip(ids, values, strict=True)
                ]
            )
        return answers

    def _read(self, texts: Sequence[str], start: int) -> list[MaskedText]:
        """Texts as tokens. Each is linked by the finder of its own language, whatever texts stand beside it."""
        for number, text in enumerate(texts, start):
            if self._mask not in text:
                raise ValueError(f"text {number} has no {self._mask}: {text[:80]!r}")
        if self._knowledge is None:
            return [self._tokens(text, None) for text in texts]
        parsed = [parse_markup(text) for text in texts]
        mentions = [given or None for _, _, given in parsed]
        by_language: dict[Language, list[int]] = defaultdict(list)
        for number, (text, _, given) in enumerate(parsed):
            if not given:
                by_language[language_of([text])].append(number)
        for language, numbers in by_language.items():
            if (finder := self._finder(language)) is not None:
                found = finder.find([parsed[number][0] for number in numbers])
                for number, mentioned in zip(numbers, found, strict=True):
                    mentions[number] = mentioned
        return [self._tokens(text, given) for (text, _, _), given in zip(parsed, mentions, strict=True)]

    def _finder(self, language: Language) -> Finder | None:
        if language not in self._finders:
            self._finders[language] = finder_for(*self._sources, language)
        return self._finders[language]

    def _tokens(self, text: str, mentions: Iterable[Mention] | None) -> MaskedText:
        """A text as tokens. A mention that covers a mask is left out: its name is not known."""
        pieces = text.split(self._mask)
        encoded = self._tokenizer.encode(pieces)
        ids, named, kept, at, begin = [self._tokenizer.cls], [], [], 0, 0
        for number, piece in enumerate(pieces):
            stop = begin + int(encoded.lengths[number])
            end = at + len(piece)
            inside = [mention for mention in mentions or () if at <= mention.start and mention.end <= end]
            starts, ends = (offsets[begin:stop] + at for offsets in (encoded.starts, encoded.ends))
            named += to_tokens(text, inside, starts, ends, len(ids))
            kept += inside
            ids += [*encoded.tokens[begin:stop].tolist(), self._tokenizer.mask]
            at, begin = end + len(self._mask), stop
        ids[-1] = self._tokenizer.sep
        return MaskedText(text, ids, named, None if mentions is None else kept)

    def _batch(self, sentences: Sequence[MaskedText]) -> tuple[Batch, list[int]]:
        """The batch, and the row of each mask, in the order of `label_positions`."""
        longest = max(len(sentence.ids) for sentence in sentences)
        tokens_BT = torch.full((len(sentences), longest), self._tokenizer.pad)
        documents_BT = torch.zeros_like(tokens_BT)
        for row, sentence in enumerate(sentences):
            tokens_BT[row, : len(sentence.ids)] = torch.tensor(sentence.ids)
            documents_BT[row, : len(sentence.ids)] = 1
        masks_BT = tokens_BT == self._tokenizer.mask
        batch = Batch(
            tokens=tokens_BT,
            documents=documents_BT,
            segments=torch.zeros_like(tokens_BT),
            label_positions=masks_BT.flatten().nonzero().squeeze(1),
        )
        return batch, masks_BT.nonzero()[:, 0].tolist()

    def _entities(self, text: str, mentions: Iterable[Mention]) -> list[dict[str, Any]]:
        """The entities that a text names; `known`: whether the model has knowledge of one."""
        assert self._knowledge is not None
        return [
            {
                "start": mention.start,
                "end": mention.end,
                "text": text[mention.start : mention.end],
                "entity": mention.entity,
                "known": self._knowledge.knows(mention.entity),
            }
            for mention in sorted(mentions, key=lambda mention: mention.start)
        ]
