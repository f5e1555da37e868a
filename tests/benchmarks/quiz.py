"""Time of the graph quiz: `python -m tests.benchmarks.quiz GRAPH [--models minilm …] [--questions 2000]`.

Wall time and processor time of a model's answers, without opening the model, with as many threads as cores, and the
number of rows that it scored.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import numpy as np
import torch

from kepipe.api.graphs import opened_graph
from kepipe.data.batch import Batch
from kepipe.inference.opening import OpenedModel, open_model
from kepipe.models.pretrained import locate
from kepipe.models.protocols import MaskedLanguageModel
from kepipe.probes.graph_quiz.masked_scores import distinct_rows
from kepipe.probes.graph_quiz.probe import GraphQuiz, make_quiz
from kepipe.probes.graph_quiz.settings import GraphQuizSettings
from kepipe.probes.graph_quiz.statements import TokenStatement, encode
from kepipe.tokenization.tokenizer import Tokenizer

SAMPLE = 100
"""Number of questions for which rows are counted."""


def main() -> None:
    """Print a line for each model."""
    parser = argparse.ArgumentParser()
    parser.add_argument("graph", type=Path)
    parser.add_argument("--models", nargs="+", default=["minilm"])
    parser.add_argument("--questions", type=int, default=2000)
    parser.add_argument("--options", type=int, default=60)
    parser.add_argument("--relations", nargs="*", default=[])
    args = parser.parse_args()
    settings = GraphQuizSettings(
        questions=args.questions, options=args.options, relations=tuple(args.relations)
    )
    with opened_graph(args.graph) as graph:
        quiz = make_quiz(graph, settings, np.random.default_rng(0))
        sizes = quiz.questions.sizes
        print(f"{len(sizes):,} questions, {sizes.sum():,} options, {torch.get_num_threads()} threads")
        for name in args.models:
            model = open_model(locate(name))
            if model.masked_language_model is not None:
                _count(
                    _sample(quiz, model.masked_language_model.tokenizer),
                    model.masked_language_model.tokenizer,
                )
            wall, processor = time.perf_counter(), time.process_time()
            with _counted(model) as batches:
                quiz.answer(model, lambda _: None)
            wall, processor = time.perf_counter() - wall, time.process_time() - processor
            scored = f", {sum(batches) / sizes.sum():.2f} rows per option were scored" if batches else ""
            print(f"{name}: {wall:.0f} s, {processor:.0f} s of processor time{scored}")


@contextmanager
def _counted(model: OpenedModel) -> Iterator[list[int]]:
    """The number of rows in each batch that a masked language model scores meanwhile; none of other models."""
    batches: list[int] = []
    filler = model.masked_language_model
    if filler is None:
        yield batches
        return
    kind = type(filler)
    real = kind.masked_logits

    def masked_logits(self: MaskedLanguageModel, batch: Batch) -> torch.Tensor:
        batches.append(len(batch.tokens))
        return real(self, batch)

    with mock.patch.object(kind, "masked_logits", masked_logits):
        yield batches


def _sample(quiz: GraphQuiz, tokenizer: Tokenizer) -> list[list[TokenStatement]]:
    """The statements of some questions, evenly spaced."""
    cases = np.linspace(0, len(quiz.cases) - 1, min(SAMPLE, len(quiz.cases))).astype(int).tolist()
    sizes = quiz.questions.sizes[quiz.cases[cases, 0]].tolist()
    return [
        encode([quiz.statement(case, option) for option in range(size)], tokenizer)
        for case, size in zip(cases, sizes, strict=True)
    ]


def _count(questions: list[list[TokenStatement]], tokenizer: Tokenizer) -> None:
    """Print the number of rows per option, with shared rows and without."""
    rows = [distinct_rows(statements, [0] * len(statements), tokenizer) for statements in questions]
    options = sum(map(len, questions))
    separate = sum(len(row.labels) for question_rows in rows for row in question_rows)
    tokens = sum(len(row.tokens) for question_rows in rows for row in question_rows)
    distinct = sum(map(len, rows))
    print(
        f"rows per option: {separate / options:.2f} separately, {distinct / options:.2f} with shared rows, "
        f"of {tokens / distinct:.1f} tokens"
    )


if __name__ == "__main__":
    main()
