"""Continue a text: `kepipe generate`, `LoadedModel.generate`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kepipe.inference.opening import OpenedModel
    from kepipe.inference.prompt_facts import PromptFacts
    from kepipe.models.generation import Sampler
    from kepipe.models.prompting import PromptTokens
    from kepipe.models.protocols import LanguageModel


@dataclass(frozen=True)
class Decoding:
    """How a text is continued: greedily, by sampling (`temperature`, `top_k`, `top_p`), or by beam search. Raises
    ValueError for incompatible settings."""

    limit: int = 50
    """Maximum number of new tokens."""
    beams: int = 1
    """Beam size; 1: no beam search."""
    count: int = 1
    """Number of continuations; with beam search, the best ones."""
    temperature: float | None = None
    """Sample from p^(1/temperature)."""
    top_k: int = 0
    """Sample from the k most probable tokens; 0: from all."""
    top_p: float = 1.0
    """Sample from the most probable tokens that together have this probability."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.limit < 1 or self.beams < 1 or self.count < 1 or self.top_k < 0 or self.seed < 0:
            raise ValueError("limit, beams and count are 1 or more, top_k and seed 0 or more")
        if self.temperature is not None and not self.temperature > 0:
            raise ValueError(
                f"temperature {self.temperature:g}: expected above 0; for greedy decoding, leave out the temperature"
            )
        if not 0 < self.top_p <= 1:
            raise ValueError(
                f"top-p {self.top_p:g}: expected above 0 and at most 1; for greedy decoding, leave out top-p, top-k "
                "and temperature"
            )
        if self.beams > 1 and self.draws:
            raise ValueError("beam search does not sample: remove temperature, top-k and top-p")
        if self.count > self.beams > 1:
            raise ValueError(f"a beam of size {self.beams} finds {self.beams} texts, not {self.count}")
        if self.count > 1 and self.beams == 1 and not self.draws:
            raise ValueError("greedy decoding gives one text: set a temperature of 1 to sample, or beams")

    @property
    def draws(self) -> bool:
        """Whether tokens are sampled."""
        return self.temperature is not None or self.top_k > 0 or self.top_p < 1


def write(
    name: str, opened: OpenedModel, prompt: str, decoding: Decoding, facts: PromptFacts | None = None
) -> list[str]:
    """The prompt with its continuations by the model, called `name` in messages.

    `facts`: finds facts that are put before the prompt but not returned. Raises ValueError if the model does not
    support this decoding.
    """
    model = opened.language_model
    assert model is not None, "the model was opened for generation"
    text = model.tokenizer.encode([prompt]).tokens
    asked = text if facts is None else facts.before([prompt], [text], decoding.limit)[0]
    if decoding.draws:
        rows = _draw(name, model, asked, decoding)
    elif decoding.beams > 1:
        rows = _search(name, model, asked, decoding)[: decoding.count]
    else:
        rows = _write(name, model, asked, decoding.limit)
    return [model.tokenizer.decode([*text.tolist(), *row]) for row in rows]


def _write(name: str, model: LanguageModel, prompt: PromptTokens, limit: int) -> list[list[int]]:
    """Greedy decoding. Raises ValueError for a model that does not generate."""
    from kepipe.models.prompting import generate
    from kepipe.models.protocols import TextGenerator

    if not isinstance(model, TextGenerator):
        raise ValueError(f"{name} scores texts but does not generate them; `kepipe few-shot` can use it")
    return [row.tolist() for row in generate(model, [prompt], limit=limit)]


def _search(name: str, scorer: LanguageModel, prompt: PromptTokens, decoding: Decoding) -> list[list[int]]:
    """The texts of a beam search, best first. Raises ValueError for a model without beam search."""
    import torch

    from kepipe.models import beam_search
    from kepipe.models.lm_scorer import LMScorer

    if not isinstance(scorer, LMScorer):
        raise ValueError(f"{name} has no beam search: remove beams")
    with torch.inference_mode():
        asked = scorer.prompt([prompt], decoding.limit)
        found_BKN, _ = beam_search.search(
            scorer.model, asked, limit=decoding.limit, beams=decoding.beams, end=scorer.tokenizer.sep
        )
    rows: list[list[int]] = found_BKN[0].tolist()
    return rows


def _sampler(decoding: Decoding) -> Sampler:
    """The sampler of the next token."""
    import torch

    from kepipe.models import generation

    generator = torch.Generator().manual_seed(decoding.seed)
    temperature = 1.0 if decoding.temperature is None else decoding.temperature
    return generation.sampling(generator, temperature=temperature, top_k=decoding.top_k, top_p=decoding.top_p)


def _draw(name: str, model: LanguageModel, prompt: PromptTokens, decoding: Decoding) -> list[list[int]]:
    """Sampled texts. Raises ValueError for a model without probabilities of the next token."""
    import numpy as np
    import torch

    from kepipe.models import generation
    from kepipe.models.lm_scorer import LMScorer
    from kepipe.models.next_token import continue_texts
    from kepipe.models.protocols import NextTokenModel

    limit, sampler = decoding.limit, _sampler(decoding)
    if isinstance(model, NextTokenModel):
        assert isinstance(prompt, np.ndarray), "these models take no knowledge"
        drawn = continue_texts(
            model, [prompt] * decoding.count, limit, lambda rows: sampler(torch.from_numpy(rows)).numpy()
        )
        return [row.tolist() for row in drawn]
    if not isinstance(model, LMScorer):
        raise ValueError(
            f"{name} does not give the probabilities of next tokens, from which to draw: leave out temperature, top-k "
            "and top-p"
        )
    with torch.inference_mode():
        asked = model.prompt([prompt] * decoding.count, limit)
        rows_BN = generation.generate(
            model.model, asked, limit=limit, end=model.tokenizer.sep, sampler=sampler
        )
    rows: list[list[int]] = rows_BN.tolist()
    return rows
