"""A small model of every family, and a batch of every objective: no text, no network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from kepipe.data.batch import Batch, TokenRows
from kepipe.models.any_base import TRAINED
from kepipe.models.any_base import build as build_model
from kepipe.models.assemble import with_label_heads
from kepipe.models.base import Base
from kepipe.models.families import FAMILIES
from kepipe.models.protocols import TrainableModel
from kepipe.models.transformer import Transformer
from kepipe.objectives import table
from kepipe.objectives.base import Objective
from kepipe.objectives.contrastive.settings import Contrastive
from kepipe.tokenization.tokenizer import Tokenizer
from kepipe.tokenization.trainers import words_or_bytes_tokenizer
from tests.support.rows import TOKENIZER, Ids, rows

BY_STACK = {"encoder": "mlm", "decoder": "causal-lm", "encoder-decoder": "denoising"}
OWN = {"t5": "span-corruption", "t5-v1.1": "span-corruption"}
FAMILY = {"encoder": "bert", "decoder": "gpt2", "encoder-decoder": "bart"}
WORDS = 64


@dataclass(frozen=True)
class Case:
    """A model, what it is trained for, and rows."""

    name: str
    family: str
    objective: Objective
    rows: TokenRows
    label_heads: dict[str, int]

    def model(self, hidden: int) -> TrainableModel:
        """Fresh, on the CPU; the same each time."""
        made = fresh(self.family, hidden)
        return with_label_heads(made, self.label_heads, 0) if isinstance(made, Transformer) else made

    def batch(self, number: int = 0) -> Batch:
        """A corrupted batch."""
        return self.objective.collate(self.rows, np.random.default_rng([5, number]), 0.5)


def fresh(family: str, hidden: int) -> TrainableModel:
    """A model of two layers; of families that are no transformers, of layers as they have."""
    if family in FAMILIES:
        sizes = {"layers": 2, "hidden": hidden, "heads": 2}
        return build_model(Base.model_validate({"family": family, **sizes}), tokenizer(family), 1)
    section = TRAINED[family].section
    sizes = {"layers": 2, "hidden": hidden, "heads": 2, "embedding": hidden, "projection": hidden}
    sizes |= {"cell": hidden, "feedforward": 2 * hidden}
    known = {name: value for name, value in sizes.items() if name in section.model_fields}
    return build_model(section.model_validate({"family": family, **known}), tokenizer(family), 1)


def tokenizer(family: str) -> Tokenizer:
    """Ids alone; of elmo, which spells words, one that knows some."""
    return TOKENIZER if family != "elmo" else words_or_bytes_tokenizer([f"w{n}" for n in range(WORDS)])


def case(family: str, name: str, length: int) -> Case:
    """A family under an objective, on eight rows of up to `length` tokens."""
    section, words = table.read(name), tokenizer(family)
    clean = rows(8, length, pairs=name == "mlm" and family == "bert")
    if family == "elmo":  # the words come last in its table
        tokens = words.vocab_size - WORDS + (clean.tokens - 25) % WORDS
        marks = {Ids.cls: words.cls, Ids.sep: words.sep, Ids.pad: words.pad}
        for mark, its in marks.items():
            tokens = np.where(clean.special & (clean.tokens == mark), its, tokens)
        clean = rows(8, length, tokens=tokens)
    return Case(f"{family}, {name}", family, table.build(section, words), clean, section.label_heads())


def families(length: int) -> Iterator[Case]:
    """Every family that the loop trains, with an objective that it takes."""
    for name, family in FAMILIES.items():
        stacks = "-".join(
            part for part, has in (("encoder", family.encoder), ("decoder", family.decoder)) if has
        )
        yield case(name, OWN.get(name, BY_STACK[stacks]), length)
    for name, row in TRAINED.items():
        config: Any = row.section.model_validate({"family": name}).configure(100)
        usual = next(objective for objective in table.TABLE if objective in config.objectives)
        yield case(name, usual, length)


def objectives(length: int) -> Iterator[Case]:
    """Every objective of the table that learns from rows of text, with a family that it trains."""
    for name, row in table.TABLE.items():
        if not issubclass(row.section, Contrastive):
            yield case(row.families[0] if row.families else FAMILY[row.stack], name, length)
