"""`kepipe perplexity`: score the texts of files with a language model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kepipe.api.knowledge import prompt_finder, read_added
from kepipe.cli.knowledge_option import (
    LinkerOption,
    PromptGraphOption,
    PromptKnowledgeOption,
    VectorsOption,
    WriterArgument,
    report_facts,
)
from kepipe.terminal import echo

if TYPE_CHECKING:
    from kepipe.inference.opening import OpenedModel
    from kepipe.models.prompting import PromptTokens
    from kepipe.probes.windows import EvalWindows
    from kepipe.studies.intervals import Estimate

FIGURES = {"token_perplexity": "per token", "word_perplexity": "per word", "bits_per_byte": "bits per byte"}


def perplexity(
    model: WriterArgument,
    files: Annotated[
        list[Path],
        typer.Argument(
            exists=True,
            help="Text files or folders, in any format that `kepipe link` reads.",
            show_default=False,
        ),
    ],
    context: Annotated[
        int, typer.Option(min=16, help="Window size: scored tokens plus the context before them.")
    ] = 128,
    tokens: Annotated[int, typer.Option(min=1, help="Maximum number of tokens to score (about).")] = 40_000,
    seed: Annotated[int, typer.Option(min=0, help="Seed for drawing the windows.")] = 0,
    knowledge: PromptKnowledgeOption = None,
    graph: PromptGraphOption = None,
    vectors: VectorsOption = None,
    linker: LinkerOption = None,
) -> None:
    """Score texts in windows with the preceding text as context: perplexity per token and per word, bits per byte, and
    the perplexity of known tokens if some are unknown to the model. With --knowledge, facts about the entities in the
    context are put before each window; they are not scored."""
    import numpy as np

    from kepipe.cli.generate import open_writer
    from kepipe.cli.link_files import read_texts, show_problems
    from kepipe.probes.perplexity import loss_of_known, summarise, token_losses
    from kepipe.probes.windows import draw_windows
    from kg.problems import Problems

    added = read_added(knowledge, graph, vectors, linker)
    opened = open_writer(model, None, added)
    language_model = opened.language_model
    assert language_model is not None
    rng, problems = np.random.default_rng(seed), Problems()
    documents = list(read_texts(files, problems))
    show_problems(problems)
    texts = [document.text for document in documents]
    finder = prompt_finder(opened, added, linker, texts)
    if finder is not None:
        linked = zip(documents, finder.find(texts), strict=True)
        documents = [replace(document, mentions=mentions) for document, mentions in linked]
    windows = draw_windows(documents, language_model.tokenizer, rng, context, tokens)
    nats = token_losses(language_model, windows, prompts=_with_facts(opened, windows))
    losses_R = np.array([nats_S.sum() for nats_S in nats])
    echo(f"{int(windows.tokens.sum()):,} tokens in {len(windows):,} windows")
    for name, value in summarise(losses_R, windows, seed).items():
        echo(f"{FIGURES[name]:<16}{_shown(value)}")
    known, unknown = loss_of_known(language_model, windows, nats)
    if unknown:
        shown = "no known tokens" if known is None else f"{np.exp(known):,.2f}"
        echo(f"{'per known token':<16}{shown}   {unknown:,} tokens are unknown to the model")


def _with_facts(opened: OpenedModel, windows: EvalWindows) -> list[PromptTokens] | None:
    """The prompts with facts, whose number is printed; None if the model has no knowledge."""
    from kepipe.models.prompting import size
    from kepipe.probes.perplexity import NO_FACTS, informed

    if opened.knowledge is None or opened.language_model is None:
        return None
    prompts = informed(opened.knowledge, windows, opened.language_model.tokenizer.pad)
    entities = [entity for named in windows.named for _, _, entity in named]
    facts = sum(map(size, prompts)) - sum(map(len, windows.prompts))
    report_facts(
        {
            "prompts": len(prompts),
            "mentions": len(entities),
            "known": sum(map(opened.knowledge.knows, entities)),
            "tokens": facts,
        }
    )
    if entities and not facts:
        echo(NO_FACTS, err=True)
    return prompts


def _shown(value: Estimate) -> str:
    if value.low is None or value.high is None:
        return f"{value.value:,.3f}"
    return f"{value.value:,.3f}   {value.low:,.3f} to {value.high:,.3f}"
