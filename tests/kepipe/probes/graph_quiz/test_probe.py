"""The graph quiz: questions, options, and scores of a model's answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from kepipe.data.batch import Batch
from kepipe.inference.opening import OpenedModel
from kepipe.knowledge.base import LearnedKnowledge
from kepipe.models.base import Base, build
from kepipe.models.lm_scorer import LMScorer
from kepipe.models.mask_filler import MaskFiller
from kepipe.probes.graph_quiz import probe as probe_module
from kepipe.probes.graph_quiz.causal_scores import log_likelihoods
from kepipe.probes.graph_quiz.masked_scores import pseudo_log_likelihoods
from kepipe.probes.graph_quiz.probe import GraphQuiz, make_quiz, records
from kepipe.probes.graph_quiz.settings import GraphQuizSettings
from kepipe.probes.graph_quiz.statements import encode
from kepipe.tokenization.tokenizer import Tokenizer
from kg.store import Graph
from kg.templates import Template
from kg.vectors import save_vectors
from tests.support.capitals import COUNTRIES, WORDS, OfRow
from tests.support.graphs import named_graph


@pytest.fixture
def capitals(tmp_path: Path) -> Graph:
    return named_graph(tmp_path / "graph", capital=COUNTRIES)


class Fixed:
    """A language model in which a token has one probability, whatever precedes it."""

    def __init__(self, tokenizer: Tokenizer, **probabilities: float) -> None:
        self.tokenizer = tokenizer
        self.logp_V = np.full(tokenizer.vocab_size, np.log(1e-3))
        for word, probability in probabilities.items():
            self.logp_V[tokenizer.id(word)] = np.log(probability)

    def log_likelihoods(self, prompts, rows, targets):
        likelihoods = np.zeros((len(targets), max(map(len, targets))))
        for row, target in zip(likelihoods, targets, strict=True):
            row[: len(target)] = self.logp_V[target]
        return likelihoods


def quiz(graph: Graph, **settings: object) -> GraphQuiz:
    return make_quiz(graph, GraphQuizSettings(**settings), np.random.default_rng(0))


def asked(quiz: GraphQuiz, model: OpenedModel) -> dict[str, np.ndarray]:
    return dict(quiz.answer(model, lambda _: None))


def test_impossible_quiz_is_rejected(tmp_path: Path, capitals: Graph) -> None:
    one = named_graph(tmp_path / "one", r={"a": "x", "b": "x"})
    with pytest.raises(ValueError, match="no questions: no relation has two objects"):
        quiz(one)
    with pytest.raises(ValueError, match="no relation 'captial'"):
        quiz(capitals, relations=("captial",))
    with pytest.raises(ValueError, match="none of the splits dev; it has train"):
        quiz(capitals, stated=(), held_out=("dev",))
    with pytest.raises(ValueError, match="train is both stated and held out"):
        quiz(capitals, held_out=("train",))


def test_quiz_scores_of_a_fixed_model_by_hand(tmp_path: Path, tokenizer: Tokenizer) -> None:
    """p(paris) = ½, p(oslo) = p(lima) = ¼: one of three questions is right, in two the truth ties for rank 2."""
    graph = named_graph(tmp_path / "graph", capital={k: COUNTRIES[k] for k in ("france", "norway", "peru")})
    model = OpenedModel(tmp_path, language_model=Fixed(tokenizer, paris=0.5, oslo=0.25, lima=0.25))
    probe = quiz(graph)
    answers = asked(probe, model)
    ranks = {
        graph.ids[f[0]]: r for f, r in zip(probe.questions.facts.tolist(), answers["ranks"], strict=True)
    }
    assert ranks == {"france": 1.0, "norway": 2.5, "peru": 2.5}
    metrics = probe.score(answers, seed=0)
    assert metrics["accuracy"].value == pytest.approx(1 / 3)
    assert metrics["mrr"].value == pytest.approx((1 + 2 / 2.5) / 3)
    assert metrics["accuracy"] == metrics["accuracy_stated"] == metrics["by_relation/capital/accuracy"]
    assert "accuracy_held_out" not in metrics, "the graph holds nothing out"
    chance = probe.baselines(0)["chance"]
    assert chance["accuracy"].value == pytest.approx(1 / 3)
    assert chance["mrr"].value == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)


def test_text_after_the_option_is_scored_too(capitals: Graph, tokenizer: Tokenizer) -> None:
    template = Template("[Y] is the capital of [X].")
    model = Fixed(tokenizer, paris=0.5)
    (statement,) = encode([template.state("france", "paris")], tokenizer)
    rest = 6 * np.log(1e-3)
    assert log_likelihoods(model, [statement])[0] == pytest.approx(np.log(0.5) + rest)
    assert log_likelihoods(model, [statement], "mean")[0] == pytest.approx((np.log(0.5) + rest) / 7)


def test_option_with_unknown_tokens_is_never_chosen(tokenizer: Tokenizer) -> None:
    template = Template("the capital of [X] is [Y].")
    statements = encode([template.state("c", name) for name in ("a", "Ω")], tokenizer)
    assert pseudo_log_likelihoods(OfRow(tokenizer), statements, [0, 0], ["c"])[1] == -np.inf
    assert log_likelihoods(Fixed(tokenizer), statements)[1] == -np.inf


class Spelled(LearnedKnowledge):
    """Notes which words the mentions that it is given cover."""

    def __init__(self) -> None:
        self.given: set[tuple[str, str]] = set()

    def apply(self, batch, mentions):
        for row, first, stop, entity in zip(
            mentions.rows, mentions.first, mentions.stop, mentions.entities, strict=True
        ):
            words = " ".join(WORDS[token] for token in batch.tokens[row, first:stop].tolist())
            self.given.add((words, mentions.ids[entity]))
        return batch


@pytest.mark.parametrize("template", ["the capital of [X] is [Y].", "[Y] is the capital of [X]."])
def test_quiz_gives_knowledge_of_the_subject(
    capitals: Graph, tokenizer: Tokenizer, template: str, tmp_path: Path
) -> None:
    file = tmp_path / "templates.tsv"
    file.write_text(f"capital\t{template}\n")
    probe, knowledge = quiz(capitals, templates=file), Spelled()
    model = OpenedModel(tmp_path, masked_language_model=OfRow(tokenizer), knowledge=knowledge)
    asked(probe, model)
    assert knowledge.given == {(name, name) for name in COUNTRIES}
    assert sorted(probe.entities_given(model)) == sorted(COUNTRIES)
    writer = OpenedModel(tmp_path, language_model=Fixed(tokenizer), knowledge=(before := Spelled()))
    asked(probe, writer)
    named = COUNTRIES if template.startswith("the") else {}
    assert before.given == {(name, name) for name in named}, (
        "what stands behind the option is not told before it"
    )
    assert sorted(probe.entities_given(writer)) == sorted(named)


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_answers_are_those_of_all_options_scored_to_their_end(
    tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reduction: str
) -> None:
    """With relations of different numbers of options, in chunks that hold several questions."""
    graph = named_graph(
        tmp_path / "graph",
        capital=dict(zip("abcdefg", ["c", "axyz", "bzyx", "dx", "exx", "f gx", "gzz"], strict=True)),
        neighbour={"a": "d", "b": "cxz", "c": "ayyx"},
    )
    probe = quiz(graph, questions=10, reduction=reduction)
    model = OpenedModel(tmp_path, masked_language_model=OfRow(tokenizer))
    monkeypatch.setattr(probe_module, "CHUNK", 4)
    answers = asked(probe, model)
    exact = []
    for case, size in enumerate(probe.questions.sizes[probe.cases[:, 0]].tolist()):
        statements = encode([probe.statement(case, option) for option in range(size)], tokenizer)
        exact.append(
            pseudo_log_likelihoods(
                OfRow(tokenizer), statements, [0] * size, ["a"], reduction=probe.settings.reduction
            )
        )
    assert len({len(scores) for scores in exact}) == 2
    for name, values in probe.graded(exact).items():
        np.testing.assert_array_equal(answers[name], values, err_msg=name)


def test_quiz_rejects_a_model_without_scores(capitals: Graph, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="fills masks or scores texts"):
        asked(quiz(capitals), OpenedModel(tmp_path))


def taught(family: str, tokenizer: Tokenizer, facts: dict[str, str], steps: int = 160) -> OpenedModel:
    """A tiny model trained on these facts, worded as in the quiz."""
    model = build(Base(family=family, layers=1, hidden=32, heads=2, init="normal"), tokenizer.vocab_size, 0)
    rows = encode([Template("The capital of [X] is [Y].").state(*fact) for fact in facts.items()], tokenizer)
    place, fills = rows[0].option[0], family == "bert"
    tokens = torch.tensor(
        [[tokenizer.cls, *row.tokens, tokenizer.sep] if fills else row.tokens for row in rows]
    )
    labels = torch.tensor([row.tokens[place] for row in rows])
    if fills:
        tokens[:, place + 1] = tokenizer.mask
    visibility, read_at = ("full", place + 1) if fills else ("causal", place - 1)
    batch = Batch(tokens, torch.ones_like(tokens), torch.zeros_like(tokens), visibility=visibility)
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(steps):
        loss = torch.nn.functional.cross_entropy(model.vocabulary(model(batch)[:, read_at]), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    if fills:
        return OpenedModel(Path("taught"), masked_language_model=MaskFiller(model, tokenizer))
    return OpenedModel(Path("taught"), language_model=LMScorer(model, tokenizer, "append"))


@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_quiz_separates_models_trained_on_right_and_wrong_facts(
    family: str, capitals: Graph, tokenizer: Tokenizer
) -> None:
    probe = quiz(capitals)
    others = dict(zip(COUNTRIES, [*list(COUNTRIES.values())[1:], "paris"], strict=True))
    right, wrong = (
        probe.score(asked(probe, taught(family, tokenizer, facts)), 0)["accuracy"].value
        for facts in (COUNTRIES, others)
    )
    assert right == 1
    assert wrong == 0, "five wrong facts, memorised"


def test_quiz_paraphrases_give_consistency(capitals: Graph, tokenizer: Tokenizer, tmp_path: Path) -> None:
    file = tmp_path / "templates.tsv"
    file.write_text(
        "capital\tthe capital of [X] is [Y].\ncapital\tin [X] lies [Y].\ncapital\tof [X] is [Y].\n"
    )
    probe = quiz(capitals, templates=file)
    assert probe.steps == 15
    answers = asked(probe, OpenedModel(tmp_path, masked_language_model=OfRow(tokenizer)))
    chosen = answers["chosen"].reshape(5, 3)
    pairs = [(a == b) + (b == c) + (a == c) for a, b, c in chosen]
    assert probe.score(answers, 0)["consistency"].value == pytest.approx(np.mean(pairs) / 3)
    alike = {**answers, "chosen": np.repeat(np.arange(5.0), 3)}
    assert probe.score(alike, 0)["consistency"].value == 1
    assert probe.difference(alike, answers, 0)["consistency"].value == pytest.approx(1 - np.mean(pairs) / 3)
    assert quiz(capitals, templates=file, paraphrases=1).steps == 5
    assert "consistency" not in probe.baselines(0)["chance"]


def test_quiz_baselines_use_frequency_names_and_vectors(tmp_path: Path) -> None:
    facts = {f"p{n}": "north" if n < 4 else "south" for n in range(6)}
    language = {"german": "germany", "spanish": "spain"}
    graph = named_graph(tmp_path / "graph", r=facts, language=language)
    settings = GraphQuizSettings()
    rng = np.random.default_rng(0)
    at = {id: row for row, id in enumerate(graph.ids)}
    entities = np.zeros((len(graph), 2), np.float32)
    for head, tail in {**facts, **language}.items():
        entities[at[tail]] = [at[tail], at[tail] ** 2]
        entities[at[head]] = entities[at[tail]] - [1, 1]
    relations = np.ones((2, 2), np.float32)
    save_vectors(tmp_path / "vectors", graph.ids, entities, relations, ["r", "language"], "TransE")
    probe = make_quiz(graph, settings, rng, tmp_path / "vectors")
    scores = probe.baselines(0)
    assert scores["most_frequent"]["by_relation/r/accuracy"].value == pytest.approx(4 / 6)
    assert scores["most_frequent"]["by_relation/language/accuracy"].value == 0.5, "a tie is right by half"
    assert scores["name_overlap"]["by_relation/language/accuracy"].value == 1
    assert scores["vectors"]["accuracy"].value == 1
    save_vectors(tmp_path / "other", graph.ids, entities, relations, ["r", "language"], "DistMult")
    with pytest.raises(ValueError, match="expected vectors of entities and relations of TransE"):
        make_quiz(graph, settings, rng, tmp_path / "other").baselines(0)


def test_quiz_intervals_resample_subjects(tmp_path: Path, tokenizer: Tokenizer) -> None:
    """Twelve facts of six subjects are six clusters; with fewer than five there is no interval."""
    facts = {"a": "f", "b": "g", "c": "f", "d": "g", "e": "f", "peru": "g"}
    graph = named_graph(
        tmp_path / "graph",
        r=facts,
        s={head: "paris" if tail == "f" else "oslo" for head, tail in facts.items()},
    )
    probe = quiz(graph)
    metrics = probe.score(asked(probe, OpenedModel(tmp_path, masked_language_model=OfRow(tokenizer))), 0)
    assert (metrics["accuracy"].cases, metrics["accuracy"].clusters) == (12, 6)
    assert metrics["accuracy"].low is not None


def test_quiz_records_have_question_and_choice(capitals: Graph, tokenizer: Tokenizer, tmp_path: Path) -> None:
    probe = quiz(capitals)
    answers = asked(probe, OpenedModel(tmp_path, language_model=Fixed(tokenizer, paris=0.5)))
    lines = {line["title"]: line for line in records(probe, {"arm": answers})}
    assert lines.keys() == COUNTRIES.keys()
    peru = lines["peru"]
    assert (peru["before"], peru["label"], peru["after"]) == ("The capital of peru is ", "lima", ".")
    assert (peru["candidates"], peru["chosen"], peru["stated"]) == (5, {"arm": "paris"}, True)
