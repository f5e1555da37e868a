"""Facts before a prompt: which tokens, their effect on likelihoods by hand, and that correct ones help."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from kepipe.arrays import Ints
from kepipe.data.batch import Batch
from kepipe.data.document import Document, Mention
from kepipe.inference.few_shot import evaluate
from kepipe.inference.opening import OpenedModel
from kepipe.inference.prompt_facts import PromptFacts, with_facts
from kepipe.inference.prompt_task import Question, Task
from kepipe.knowledge.base import Knowledge
from kepipe.knowledge.name_matcher import Dictionary
from kepipe.models.generation import PromptTree
from kepipe.models.lm_scorer import LMScorer
from kepipe.models.prompting import generate, log_likelihoods
from kepipe.probes.perplexity import PRESENTATION, Perplexity, headlines
from kepipe.probes.windows import cut_windows
from kepipe.studies.scores import Scores
from kepipe.tokenization.tokenizer import Tokenizer
from kg.store import Graph
from tests.support.sides import (
    OPPOSITE,
    SIDE,
    TOWNS,
    opened,
    random_model,
    trained_model,
    words_tokenizer,
    write_sides,
)

FLAT = {"method": "k-bert", "soft_positions": False, "visible_matrix": False}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return words_tokenizer(tmp_path_factory.mktemp("words"))


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    return write_sides(tmp_path_factory.mktemp("sides"), SIDE)


@pytest.fixture(scope="module")
def turned(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    return write_sides(tmp_path_factory.mktemp("turned"), OPPOSITE)


@pytest.fixture(scope="module")
def reader(tokenizer: Tokenizer) -> LMScorer:
    return trained_model(tokenizer)


def tokens_of(tokenizer: Tokenizer, text: str) -> Ints:
    return tokenizer.encode([text]).tokens


def by_hand(scorer: LMScorer, before: Ints, target: Ints) -> float:
    """The sum of ln p of each token of the target given everything before it, in one forward pass."""
    row = torch.from_numpy(np.concatenate([before, target]))[None]
    with torch.inference_mode():
        hidden_TD = scorer.model(Batch(row, torch.ones_like(row), visibility="causal"))[0]
        logp_TV = scorer.model.vocabulary(hidden_TD).log_softmax(-1)
    at = torch.arange(len(before) - 1, row.shape[1] - 1)
    return float(logp_TV[at, torch.from_numpy(target)].sum())


def facts(
    knowledge: Knowledge, tokenizer: Tokenizer, *prompts: str, room: int = 4
) -> list[Ints | PromptTree]:
    """The prompts with facts of the town in their last word."""
    texts = [tokens_of(tokenizer, prompt) for prompt in prompts]
    named = [
        [(len(text) - 1, len(text), prompt.split()[-1])] for text, prompt in zip(texts, prompts, strict=True)
    ]
    return with_facts(knowledge, texts, named, room, tokenizer.pad)


def test_likelihood_after_facts_and_prompt_by_hand(graph: Graph, tokenizer: Tokenizer) -> None:
    scorer, targets = (
        random_model(tokenizer),
        [tokens_of(tokenizer, text) for text in ("it is north", "and rain")],
    )
    given = facts(opened(graph, scorer, "triples-as-text"), tokenizer, "we saw oslo", "and we saw lima")
    written = [
        tokens_of(tokenizer, "oslo lies in north . we saw oslo"),
        tokens_of(tokenizer, "lima lies in south . and we saw lima"),
    ]
    assert [prompt.tolist() for prompt in given if not isinstance(prompt, PromptTree)] == [
        before.tolist() for before in written
    ]
    found = log_likelihoods(scorer, given, [0, 1, 0], [*targets, targets[1]])
    expected = [
        by_hand(scorer, before, target)
        for before, target in ((written[0], targets[0]), (written[1], targets[1]), (written[0], targets[1]))
    ]
    assert found.sum(1) == pytest.approx(expected, rel=1e-5)
    alone = log_likelihoods(scorer, [tokens_of(tokenizer, "we saw oslo")], [0], targets[:1]).sum()
    assert alone != pytest.approx(expected[0], rel=1e-2), "the facts change it"


def test_perplexity_with_facts_by_hand(graph: Graph, tokenizer: Tokenizer) -> None:
    """Two windows: the first has facts of oslo; the second names lima, whose facts must not be given before it."""
    scorer, text = random_model(tokenizer), "we saw oslo and it is lima . we saw rain ."
    document = Document("a", text, mentions=(Mention(7, 11, "oslo", 1.0), Mention(22, 26, "lima", 1.0)))
    windows = cut_windows([document], tokenizer, 4)
    model = OpenedModel(Path(), language_model=scorer, knowledge=opened(graph, scorer, "triples-as-text"))
    probe = Perplexity(windows, np.ones(tokenizer.vocab_size, np.int64))
    answers = probe.answer(model, lambda _: None)
    oslo, lima = "oslo lies in north . ", "lima lies in south . "
    stretches = [
        (oslo + "we saw oslo and", "it is lima ."),
        (lima + "it is lima .", "we saw rain ."),
    ]
    nats = [
        -by_hand(scorer, tokens_of(tokenizer, before), tokens_of(tokenizer, target))
        for before, target in stretches
    ]
    assert answers["losses"] == pytest.approx(nats, rel=1e-5)
    assert answers["fact_tokens"].tolist() == [5, 5]
    scores = probe.score(answers, 0)
    assert scores["token_perplexity"].value == pytest.approx(np.exp(sum(nats) / 8), rel=1e-5)
    assert scores["fact_tokens"].value == 5
    assert probe.entities_given(model) == ["oslo", "lima"]


def test_sentence_tree_prompt_is_scored_as_in_one_forward_pass(graph: Graph, tokenizer: Tokenizer) -> None:
    """Keys in the cache, rows of unequal length and shared prompts change nothing."""
    scorer = random_model(tokenizer)
    given = facts(opened(graph, scorer, "k-bert"), tokenizer, "we saw oslo", "and we saw lima")
    target = tokens_of(tokenizer, "it is north")
    found = log_likelihoods(scorer, given, [1, 0, 1], [target] * 3).sum(1)
    expected = []
    for prompt in given:
        assert isinstance(prompt, PromptTree)
        assert prompt.positions is not None
        columns = [prompt.tokens, prompt.positions, prompt.branch, prompt.mention]
        last = prompt.positions[-1] + 1
        after = [target, np.arange(last, last + 3), np.zeros(3, np.int64), np.zeros(3, np.int64)]
        row, positions, branch, mention = (
            torch.from_numpy(np.concatenate([before, behind]))[None]  # type: ignore[list-item]
            for before, behind in zip(columns, after, strict=True)
        )
        batch = Batch(
            row,
            torch.ones_like(row),
            visibility="causal",
            positions=positions,
            branch=branch,
            mention=mention,
        )
        with torch.inference_mode():
            logp_TV = scorer.model.vocabulary(scorer.model(batch)[0]).log_softmax(-1)
        at = torch.arange(len(prompt.tokens) - 1, row.shape[1] - 1)
        expected.append(float(logp_TV[at, torch.from_numpy(target)].sum()))
    assert found == pytest.approx([expected[1], expected[0], expected[1]], rel=1e-5)
    flat = [np.asarray(prompt.tokens) for prompt in given if isinstance(prompt, PromptTree)]
    assert log_likelihoods(scorer, flat, [0], [target]).sum() != pytest.approx(expected[0], rel=1e-3)


def test_tree_without_visible_matrix_is_a_flat_prompt(graph: Graph, tokenizer: Tokenizer) -> None:
    """Also for an encoder-decoder, whose encoder reads them."""
    scorer = random_model(tokenizer, "t5")
    (given,) = facts(opened(graph, scorer, FLAT), tokenizer, "we saw oslo")
    assert not isinstance(given, PromptTree)
    assert given.tolist() == tokens_of(tokenizer, "we saw lies in north oslo").tolist()


@pytest.mark.parametrize("method", ["k-bert", "ernie-tsinghua", "ernie-baidu"])
def test_unsupported_knowledge_of_prompts_explains_why(
    method: str, graph: Graph, tokenizer: Tokenizer
) -> None:
    reasons = {
        "k-bert": "its tree needs a decoder-only model",
        "ernie-tsinghua": "entities are fused in an encoder such as bert or roberta, not in t5",
        "ernie-baidu": "it chooses what pretraining masks",
    }
    with pytest.raises(ValueError, match=reasons[method]):
        opened(graph, random_model(tokenizer, "t5"), method)


def test_encoder_decoder_gets_facts_before_the_prompt(graph: Graph, tokenizer: Tokenizer) -> None:
    scorer = random_model(tokenizer, "t5")
    (given,) = facts(opened(graph, scorer, "triples-as-text"), tokenizer, "we saw oslo")
    assert not isinstance(given, PromptTree)
    assert given.tolist() == tokens_of(tokenizer, "oslo lies in north . we saw oslo").tolist()


def test_prompt_is_never_truncated(graph: Graph, tokenizer: Tokenizer) -> None:
    short = opened(graph, random_model(tokenizer), {"method": "triples-as-text", "length": 20})
    with pytest.raises(ValueError, match="no room for a prompt of 19 tokens and 4 more"):
        facts(short, tokenizer, "and rain " * 9 + "oslo")
    (given,) = facts(short, tokenizer, "and rain " * 4 + "oslo")
    assert not isinstance(given, PromptTree)
    assert len(given) == 9, "there is room for the text alone: 9 + 4 + 4, and 5 of the fact"


def test_dropped_facts_are_reported(graph: Graph, tokenizer: Tokenizer) -> None:
    scorer = random_model(tokenizer, positions=16)
    document = Document("a", "we saw oslo and it is rain .", mentions=(Mention(7, 11, "oslo", 1.0),))
    model = OpenedModel(Path(), language_model=scorer, knowledge=opened(graph, scorer, "triples-as-text"))
    probe = Perplexity(cut_windows([document], tokenizer, 4), np.ones(tokenizer.vocab_size, np.int64))
    scores = Scores({"a": {"perplexity": probe.score(probe.answer(model, lambda _: None), 0)}})
    *_, told = headlines("perplexity", PRESENTATION, scores)
    assert (
        "a: 0.0 tokens of facts before each window: the graph has none in these splits, or none fits" in told
    )


@pytest.mark.parametrize("method", ["triples-as-text", FLAT], ids=["sentences", "triples"])
def test_right_facts_lower_perplexity_and_wrong_ones_do_not(
    method: str | dict[str, object], graph: Graph, turned: Graph, tokenizer: Tokenizer, reader: LMScorer
) -> None:
    """The model learned to repeat the fact before a text; the sides of the towns were drawn anew each time."""
    documents = [
        Document(town, f"we saw {town} it is {SIDE[town]}", mentions=(Mention(7, 7 + len(town), town, 1.0),))
        for town in TOWNS
    ]
    probe = Perplexity(cut_windows(documents, tokenizer, 3), np.ones(tokenizer.vocab_size, np.int64))

    def perplexity(knowledge: Knowledge | None) -> float:
        model = OpenedModel(Path(), language_model=reader, knowledge=knowledge)
        return probe.score(probe.answer(model, lambda _: None), 0)["token_perplexity"].value

    right, wrong = (perplexity(opened(of, reader, method)) for of in (graph, turned))
    alone = perplexity(None)
    if method == "triples-as-text":
        assert right < 1.1
        assert right < min(alone, wrong)
    else:
        assert right < wrong


def test_task_answers_follow_the_facts(
    graph: Graph, turned: Graph, tokenizer: Tokenizer, reader: LMScorer
) -> None:
    questions = tuple(
        Question(question=town, answer=SIDE[town], choices=("north", "south")) for town in TOWNS
    )
    asked = Task(name="sides", template="we saw {question} it is {answer}", questions=questions)
    written = asked.model_copy(
        update={"questions": tuple(one.model_copy(update={"choices": ()}) for one in questions)}
    )

    def accuracy(of: Graph, task: Task) -> float:
        before = PromptFacts(
            opened(of, reader, "triples-as-text"), lambda texts: map(Dictionary(of).find, texts), tokenizer
        )
        found = evaluate(reader, task, (), limit=1, facts=before).accuracy().value
        assert before.counts == {"prompts": 6, "mentions": 6, "known": 6, "tokens": 30}
        return found

    for task in (asked, written):
        assert accuracy(graph, task) == 1
        assert accuracy(turned, task) == 0


def test_generation_follows_the_facts(turned: Graph, tokenizer: Tokenizer, reader: LMScorer) -> None:
    knowledge = opened(turned, reader, "triples-as-text")
    text = tokens_of(tokenizer, "we saw oslo it is")
    given = with_facts(knowledge, [text], [[(2, 3, "oslo")]], 1, tokenizer.pad)
    (written,) = generate(reader, given, limit=1)
    assert tokenizer.decode(written.tolist()) == OPPOSITE["oslo"]
