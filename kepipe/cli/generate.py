"""`kepipe generate`, `kepipe few-shot` and `kepipe export`: a trained model at work."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kepipe.inference.normalisation import Normalise
from kepipe.models.prompt_styles import PromptStyle, described
from kepipe.terminal import echo

if TYPE_CHECKING:
    from kepipe.arrays import Ints
    from kepipe.inference.prompt_task import Task
    from kepipe.models.generation import Sampler
    from kepipe.models.lm_scorer import LMScorer
    from kepipe.models.protocols import LanguageModel
    from kepipe.studies.intervals import Estimate

ModelArgument = Annotated[
    str,
    typer.Argument(
        help="A model folder (workspace/gpt/pretrain), `minilm`, or a hub id.", show_default=False
    ),
]
PromptStyleOption = Annotated[
    PromptStyle | None,
    typer.Option(
        "--prompt-style",
        help=f"How the model goes on: {described()}. Without it: as it was trained.",
    ),
]
SeedOption = Annotated[int, typer.Option(min=0, help="Seed of what is drawn.")]


def generate(
    model: ModelArgument,
    prompt: Annotated[str, typer.Argument(help="What the text begins with.", show_default=False)],
    limit: Annotated[int, typer.Option(min=1, help="Tokens to write, at most.")] = 50,
    beams: Annotated[int, typer.Option(min=1, help="Search with a beam of so many hypotheses.")] = 1,
    count: Annotated[int, typer.Option(min=1, help="Texts to write (with a beam: the best ones).")] = 1,
    temperature: Annotated[
        float | None,
        typer.Option(help="Draw from p^(1/temperature); without it, the likeliest token is taken."),
    ] = None,
    top_k: Annotated[int, typer.Option(min=0, help="Draw among the k likeliest tokens; 0: among all.")] = 0,
    top_p: Annotated[
        float, typer.Option(min=0, max=1, help="Draw among the likeliest that hold this share.")
    ] = 1.0,
    seed: SeedOption = 0,
    prompt_style: PromptStyleOption = None,
) -> None:
    """Go on with a text: greedily, by drawing (--temperature, --top-k, --top-p), or by beam search."""
    if temperature is not None and not temperature > 0:
        raise typer.BadParameter(
            f"--temperature {temperature:g}: expected above 0; the likeliest tokens are what you get without "
            "--temperature"
        )
    if not top_p > 0:
        raise typer.BadParameter(
            f"--top-p {top_p:g}: expected above 0; the likeliest tokens are what you get without --top-p, "
            "--top-k and --temperature"
        )
    drawn = temperature is not None or top_k > 0 or top_p < 1
    if beams > 1 and drawn:
        raise typer.BadParameter(
            "a beam searches and does not draw: leave out --temperature, --top-k and --top-p"
        )
    if beams > 1 and count > beams:
        raise typer.BadParameter(f"a beam of {beams} finds {beams} texts, not {count}")
    if beams == 1 and count > 1 and not drawn:
        raise typer.BadParameter(
            "the likeliest tokens give one text: add --temperature 1 to draw, or --beams"
        )
    language_model = _open(model, prompt_style)
    text = language_model.tokenizer.encode([prompt]).tokens
    if drawn or beams > 1:
        scorer = _transformer(model, language_model)
        if drawn:
            rows = _draw(scorer, text, limit, count, _sampler(seed, temperature, top_k, top_p))
        else:
            rows = _search(scorer, text, limit, beams)[:count]
    else:
        rows = _write(model, language_model, text, limit)
    for row in rows:
        echo(language_model.tokenizer.decode([*text.tolist(), *row]))


def few_shot(
    model: ModelArgument,
    task: Annotated[Path, typer.Argument(help="The task's YAML or JSON file.", show_default=False)],
    shots: Annotated[str, typer.Option(help="Numbers of solved examples in the prompt.")] = "0,1,4",
    normalise: Annotated[
        Normalise, typer.Option(help="What a choice's log-likelihood is divided by.")
    ] = "tokens",
    limit: Annotated[int, typer.Option(min=1, help="Tokens of a written answer, at most.")] = 16,
    seed: SeedOption = 0,
    prompt_style: PromptStyleOption = None,
    show: Annotated[
        bool, typer.Option("--show", help="Print every question with the model's answer.")
    ] = False,
) -> None:
    """Put a task to a model in words, with no, one or several solved examples: a table with 95% intervals."""
    import numpy as np

    from kepipe.inference.few_shot import draw_examples, evaluate
    from kepipe.inference.prompt_task import read_task

    asked, numbers = read_task(task), _numbers(shots)
    examples = {number: draw_examples(asked, number, np.random.default_rng(seed)) for number in numbers}
    language_model = _open(model, prompt_style)
    echo(f"{asked.name}: {len(asked.questions)} questions, {_chance(asked)}")
    echo(f"{'examples':>8}  {'right':>6}  95% interval")
    for number in numbers:
        result = evaluate(language_model, asked, examples[number], normalise=normalise, limit=limit)
        echo(f"{number:>8}  {_share(result.accuracy())}")
        for question, answer, right in zip(asked.questions, result.answers, result.right, strict=True):
            if show:
                echo(f"          {'✓' if right else '✗'} {question.question or question.given} → {answer}")


def export(
    model: ModelArgument,
    folder: Annotated[Path, typer.Argument(help="Folder to write.", show_default=False)],
) -> None:
    """Write a model as a Hugging Face folder, which `AutoModel…from_pretrained` opens."""
    from kepipe.models.hf.export import export as write
    from kepipe.models.pretrained import from_pretrained, locate

    if folder.exists() and any(folder.iterdir()):
        raise typer.BadParameter(f"{folder} is not empty: name a new folder")
    source = locate(model)
    write(folder, from_pretrained(model), source)
    echo(f"{folder}: {', '.join(sorted(file.name for file in folder.iterdir()))}")


def _open(model: str, prompt_style: PromptStyle | None) -> LanguageModel:
    """A model that says how likely texts are. Its notes go to the terminal."""
    from kepipe.inference.language_model import open_language_model

    return open_language_model(model, prompt_style, lambda message: echo(message, err=True))


def _transformer(name: str, model: LanguageModel) -> LMScorer:
    """The model, whose next tokens are at hand. Raises ValueError for one that answers as a whole."""
    from kepipe.models.lm_scorer import LMScorer

    if not isinstance(model, LMScorer):
        raise ValueError(
            f"{name} is no transformer and writes the likeliest tokens alone: leave out --temperature, --top-k, "
            "--top-p and --beams"
        )
    return model


def _write(name: str, model: LanguageModel, text: Ints, limit: int) -> list[list[int]]:
    """The likeliest tokens. Raises ValueError for a model that does not write."""
    from kepipe.models.protocols import TextGenerator

    if not isinstance(model, TextGenerator):
        raise ValueError(
            f"{name} says how likely a text is and does not write one; `kepipe few-shot` can ask it"
        )
    return [row.tolist() for row in model.generate([text], limit=limit)]


def _search(scorer: LMScorer, text: Ints, limit: int, beams: int) -> list[list[int]]:
    """The texts of a beam, the best first."""
    import torch

    from kepipe.models import beam_search

    with torch.inference_mode():
        asked = scorer.prompt([text], limit)
        found_BKN, _ = beam_search.search(
            scorer.model, asked, limit=limit, beams=beams, end=scorer.tokenizer.sep
        )
    rows: list[list[int]] = found_BKN[0].tolist()
    return rows


def _sampler(seed: int, temperature: float | None, top_k: int, top_p: float) -> Sampler:
    """What draws the next token."""
    import torch

    from kepipe.models import generation

    generator = torch.Generator().manual_seed(seed)
    return generation.sampling(
        generator, temperature=1.0 if temperature is None else temperature, top_k=top_k, top_p=top_p
    )


def _draw(scorer: LMScorer, text: Ints, limit: int, count: int, sampler: Sampler) -> list[list[int]]:
    """Texts that are drawn."""
    import torch

    from kepipe.models import generation

    with torch.inference_mode():
        asked = scorer.prompt([text] * count, limit)
        rows_BN = generation.generate(
            scorer.model, asked, limit=limit, end=scorer.tokenizer.sep, sampler=sampler
        )
    rows: list[list[int]] = rows_BN.tolist()
    return rows


def _numbers(shots: str) -> list[int]:
    """`0,1,4` as numbers."""
    try:
        numbers = [int(part) for part in shots.split(",")]
    except ValueError:
        numbers = [-1]
    if min(numbers) < 0:
        raise typer.BadParameter(f"--shots {shots}: expected whole numbers from 0 with commas, such as 0,1,4")
    return numbers


def _chance(task: Task) -> str:
    """How often a blind guess is right."""
    shares = [1 / len(question.choices) for question in task.questions if question.choices]
    return (
        f"{sum(shares) / len(shares):.1%} right by chance" if shares else "answered in the model's own words"
    )


def _share(accuracy: Estimate) -> str:
    """A share with its interval."""
    assert accuracy.low is not None
    assert accuracy.high is not None
    return f"{accuracy.value:>6.1%}  {accuracy.low:.1%} to {accuracy.high:.1%}"
