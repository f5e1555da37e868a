"""Beam search with a transformer."""

from __future__ import annotations

import torch
from torch import Tensor

from kepipe.models.generation import Prompt, ban_repeats
from kepipe.models.transformer import Transformer

NEVER = -1.0e9


@torch.no_grad()
def search(
    model: Transformer,
    prompt: Prompt,
    *,
    limit: int,
    beams: int,
    end: int | None = None,
    length_penalty: float = 1.0,
    no_repeat_ngram_size: int = 0,
) -> tuple[Tensor, Tensor]:
    """The best `beams` continuations of each row, best first: tokens [B, beams, N], scores [B, beams].

    A score is the summed log-likelihood / length^`length_penalty` (end token included); rows are padded at the right.
    A hypothesis is finished at `end` or at `limit` tokens, if it is among the step's best `beams`. A row is done once
    its best open hypothesis, at its present length, scores below all of `beams` finished ones.
    `no_repeat_ngram_size`: see `generation.ban_repeats`.
    """
    rows, device = len(prompt.tokens), prompt.tokens.device
    state = prompt.begin(model, limit)
    first_row = torch.arange(rows, device=device)[:, None]
    state.select(first_row.expand(rows, beams).flatten())
    first_beam = first_row * beams

    opened = torch.full((rows, beams, limit), model.config.pad, device=device)
    open_scores = torch.full((rows, beams), NEVER, device=device)
    open_scores[:, 0] = 0.0  # all beams are equal at first, so only one is continued
    finished, scores = opened.clone(), torch.full((rows, beams), NEVER, device=device)
    settled = torch.zeros(rows, 1, dtype=torch.bool, device=device)

    for length in range(1, limit + 1):
        likely = state.logits.log_softmax(-1)
        if no_repeat_ngram_size:
            likely = ban_repeats(likely, opened[:, :, : length - 1].flatten(0, 1), no_repeat_ngram_size)
        candidates = likely.view(rows, beams, -1) + open_scores[..., None]
        vocabulary = candidates.shape[-1]
        # twice the beam, so that enough hypotheses stay open even if a whole beam ends here
        sums, at = candidates.flatten(1).topk(min(2 * beams, beams * vocabulary))
        origin, token = at // vocabulary, at % vocabulary
        continued = _rows(opened, origin)
        continued[:, :, length - 1] = token
        ends = torch.full_like(token, length == limit, dtype=torch.bool)
        if end is not None:
            ends |= token == end

        counts = ends & (torch.arange(ends.shape[1], device=device) < beams) & ~settled
        all_scores = torch.cat([scores, torch.where(counts, sums / length**length_penalty, NEVER)], 1)
        scores, best = all_scores.topk(beams)
        finished = _rows(torch.cat([finished, continued], 1), best)

        open_scores, going_on = torch.where(ends, NEVER, sums).topk(beams)
        opened, origin, token = (
            _rows(continued, going_on),
            origin.gather(1, going_on),
            token.gather(1, going_on),
        )
        settled |= open_scores[:, :1] / length**length_penalty <= scores[:, -1:]
        if length == limit or bool(settled.all()):
            break
        state.select((first_beam + origin).flatten())
        state.append(token.flatten())
    return finished[:, :, :length], scores


def _rows(hypotheses_BHN: Tensor, chosen_BK: Tensor) -> Tensor:
    """The chosen hypotheses of each row, as a new tensor."""
    return hypotheses_BHN.gather(1, chosen_BK[..., None].expand(-1, -1, hypotheses_BHN.shape[2]))
