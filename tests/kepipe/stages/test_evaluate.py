"""The evaluate stage on real small artifacts."""

import json
from dataclasses import replace
from fnmatch import fnmatchcase

import numpy as np
import pytest

from kepipe.data.document_files import write_documents
from kepipe.flow.artifact import seal
from kepipe.flow.stage import StageContext
from kepipe.inference.added_knowledge import AddedKnowledge
from kepipe.linking.linker import Linker
from kepipe.models.base import Base, build
from kepipe.models.folder import save
from kepipe.probes.evaluation import score_model
from kepipe.probes.table import PROBES, score_name
from kepipe.report import evaluation
from kepipe.report.page import Text
from kepipe.stages.artifacts import Model, Vectors
from kepipe.stages.evaluate import EVALUATE, EvaluateConfig, EvaluateInputs, held_out_documents
from kepipe.studies.scores import read_scores
from kepipe.tokenization.training import train_tokenizer
from kg.store import open_graph
from kg.vectors import save_vectors
from tests.support.fusion import build_fused, save_fused
from tests.support.world import make_world, with_large_weights

CONFIG = EvaluateConfig(context=48, max_mentions=30)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("world"))


def run(world, folder, config=CONFIG, arms=None, scratch=None, **knowledge):
    events = []
    context = StageContext(folder / "out", scratch or folder / "scratch", 0, "cpu", events.append)
    for place in (context.out, context.scratch):
        place.mkdir(parents=True, exist_ok=True)
    inputs = EvaluateInputs(arms or world.arms, world.linked, world.graph, world.shards, **knowledge)
    EVALUATE.run(inputs, config, context)
    return read_scores(context.out / "scores.json"), events


def logged(events):
    """Metric → value. No name is logged twice, since only the last value without a step is kept."""
    found = [item for event in events for item in getattr(event, "values", {}).items()]
    assert len(dict(found)) == len(found)
    return dict(found)


def score_alone(world, arm):
    held_out = held_out_documents(world.linked, world.graph, world.shards, CONFIG, seed=0)
    return score_model(arm.folder, held_out, CONFIG.probes, AddedKnowledge())


def content(folder):
    files = (file for file in (folder / "out").rglob("*") if file.is_file())
    return {file.relative_to(folder): file.read_bytes() for file in files}


def test_evaluate_scores_arms_differences_baselines_and_cases(world, tmp_path):
    scores, events = run(world, tmp_path)
    assert list(scores.arms) == ["pretrain", "control"]
    (difference,) = scores.differences
    assert difference.name == "pretrain − control"
    for probe, metrics in scores.arms["pretrain"].items():
        row = next(row for name, row in PROBES.items() if score_name(name) == probe)
        assert all(any(fnmatchcase(metric, name) for name in row.figures) for metric in metrics)
    mrr = {arm: measured["entity_cloze"]["mrr"].value for arm, measured in scores.arms.items()}
    apart = difference.scores["entity_cloze"]["mrr"]
    assert apart.value == pytest.approx(mrr["pretrain"] - mrr["control"])
    assert set(scores.arms["pretrain"]["mlm_loss"]) == {"tokens", "phrases", "mentions"}
    assert set(scores.baselines) == set(scores.details) == {"mlm_loss", "entity_cloze"}
    cases = [json.loads(line) for line in (tmp_path / "out" / "clozes.jsonl").read_text().splitlines()]
    assert len(cases) == 30
    assert sum(1 / case["ranks"]["pretrain"] for case in cases) / 30 == pytest.approx(mrr["pretrain"])
    assert logged(events)["control/entity_cloze/mrr"] == mrr["control"]


def test_interrupted_evaluate_resumes_bit_identically(world, tmp_path, monkeypatch):
    run(world, tmp_path / "whole")
    from kepipe.probes import cloze_scoring

    measured, real = [], cloze_scoring.score_candidates

    def stop_at_second_arm(model, *args, **options):
        measured.append(model)
        if len(measured) == 2:
            raise KeyboardInterrupt
        return real(model, *args, **options)

    monkeypatch.setattr(cloze_scoring, "score_candidates", stop_at_second_arm)
    with pytest.raises(KeyboardInterrupt):
        run(world, tmp_path / "broken")
    run(world, tmp_path / "broken")
    assert len(measured) == 3  # the first arm is not measured again
    assert content(tmp_path / "broken") == content(tmp_path / "whole")


def test_model_scored_alone_equals_its_arm(world, tmp_path):
    scores, _ = run(world, tmp_path)
    assert score_alone(world, world.arms[1]) == scores.arms["control"]


def test_gold_links_by_title_are_resolved_to_entities(tmp_path):
    """An anchor names a page: "Oslo" is found by its name, "Atlantis" means nothing in the graph."""
    world = make_world(tmp_path / "world")
    store = open_graph(world.graph.folder)
    Linker.build(store).save(world.linked.folder / "linker")
    documents = []
    for document in world.documents:
        titles = tuple(replace(m, entity=store.labels[store.row(m.entity)]) for m in document.mentions[1:])
        unknown = replace(document.mentions[0], entity="Atlantis")
        documents.append(replace(document, gold=(unknown, *titles)))
    write_documents(world.linked.folder / "documents.jsonl", documents)
    scores, _ = run(world, tmp_path / "run")
    assert scores.details["entity_cloze"]["mentions"] == "gold"
    assert scores.details["entity_cloze"]["cases"] == 30
    by_linker, _ = run(world, tmp_path / "linked", CONFIG.model_copy(update={"mentions": "linked"}))
    assert by_linker.details["entity_cloze"]["mentions"] == "linked"
    cases = [
        json.loads(line) for line in (tmp_path / "run" / "out" / "clozes.jsonl").read_text().splitlines()
    ]
    assert all(case["label"] == case["surface"] and case["entity"] in store for case in cases)


def test_evaluate_reference_and_unknown_arm_names(world, tmp_path):
    scores, _ = run(world, tmp_path / "a", CONFIG.model_copy(update={"reference": "pretrain"}))
    assert [difference.name for difference in scores.differences] == ["control − pretrain"]
    with pytest.raises(ValueError, match="`nobody` is not an arm; known: control, pretrain"):
        run(world, tmp_path / "b", CONFIG.model_copy(update={"reference": "nobody"}))


def test_held_out_documents_are_required(tmp_path):
    world = make_world(tmp_path / "world")
    held_out = world.shards.folder / "held_out"
    for name in ("tokens.bin", "bounds.bin", "entities.bin", "ids.jsonl"):
        (held_out / name).write_bytes(b"")
    (held_out / "shard.json").write_text('{"tokens": 0, "dtype": "uint16"}')
    with pytest.raises(ValueError, match="no document is held out"):
        run(world, tmp_path)


def writer(world, folder):
    """A model that generates."""
    model = build(Base(family="gpt2", layers=1, hidden=32, heads=2), world.tokenizer.vocab_size, 0)
    save(folder / "writer", model, tokenizer=world.shards.folder / "tokenizer", provenance={})
    seal(folder / "writer", {}, "test-run")
    return Model.open(folder / "writer", "writer")


def test_arm_is_scored_by_the_probes_that_fit_it(world, tmp_path):
    """A masked and a causal model."""
    arms = (world.arms[0], writer(world, tmp_path))
    scores, events = run(world, tmp_path, arms=arms)
    assert set(scores.arms["pretrain"]) == {"mlm_loss", "entity_cloze"}
    assert set(scores.arms["writer"]) == {"perplexity"}
    assert not scores.differences
    notes = [event.message for event in events if hasattr(event, "message")]
    assert "pretrain: entity-cloze, mlm-loss" in notes
    assert "writer: perplexity" in notes
    with pytest.raises(
        ValueError, match=r"`writer` cannot answer entity-cloze, .* only graph-quiz and perplexity:"
    ):
        run(world, tmp_path / "asked", CONFIG.model_copy(update={"probes": ("entity-cloze",)}), arms)


def test_arm_with_another_tokenizer_is_rejected(world, tmp_path):
    """Its ids mean other tokens: figures would come out, and mean nothing."""
    own = train_tokenizer(["other texts, other tokens"], kind="wordpiece", size=world.tokenizer.vocab_size)
    own.save(tmp_path / "tokenizer")
    model = build(Base(family="gpt2", layers=1, hidden=32, heads=2), world.tokenizer.vocab_size, 0)
    save(tmp_path / "stranger", model, tokenizer=tmp_path / "tokenizer", provenance={})
    seal(tmp_path / "stranger", {}, "test-run")
    arms = (world.arms[0], Model.open(tmp_path / "stranger", "stranger"))
    with pytest.raises(ValueError, match="`stranger` has another tokenizer than `shards`"):
        run(world, tmp_path, arms=arms)


def test_fused_arm_is_scored_with_its_own_vectors(world, tmp_path):
    """The same weights with other vectors give other scores, among the arms and alone."""
    ids = [id for id in open_graph(world.graph.folder).ids if id != "id:Oslo"]
    base = Base(layers=2, hidden=32, heads=2)
    arms = []
    for seed, name in enumerate(("true", "other")):
        table = 10 * np.random.default_rng(seed).standard_normal((len(ids), 16)).astype(np.float32)
        save_vectors(tmp_path / "vectors" / name, ids, table)
        model, knowledge = build_fused(base, world.tokenizer, tmp_path / "vectors" / name, first=0)
        save_fused(tmp_path / name, with_large_weights(model), knowledge, world.shards.folder / "tokenizer")
        seal(tmp_path / name, {}, "test-run")
        arms.append(Model.open(tmp_path / name, name))
    scores, events = run(world, tmp_path, arms=(*arms, world.arms[0]))
    for metric in ("tokens", "phrases", "mentions"):
        assert scores.arms["true"]["mlm_loss"][metric] != scores.arms["other"]["mlm_loss"][metric]
    assert scores.arms["true"]["entity_cloze"]["mrr"] != scores.arms["other"]["entity_cloze"]["mrr"]
    assert score_alone(world, arms[1]) == scores.arms["other"]
    check_counts_of_known_mentions(scores, events, tmp_path)


def check_counts_of_known_mentions(scores, events, folder):
    """All mentions but Oslo's; a plain arm has none."""
    values = logged(events)
    for probe in ("mlm_loss", "entity_cloze"):
        given = scores.details[probe]["mentions_given"]
        assert set(given) == {"true", "other"}
        assert 0 < given["true"]["known"] < given["true"]["given"]
        assert given["true"] == given["other"]
        assert values[f"true/{probe}/mentions_known"] == given["true"]["known"]
        assert values[f"true/{probe}/mentions_given"] == given["true"]["given"]
        assert f"pretrain/{probe}/mentions_known" not in values
    assert values["true/mlm_loss/mentions"] == scores.arms["true"]["mlm_loss"]["mentions"].value
    drawn = {section.name: section for section in evaluation.sections(scores, folder / "out")}
    page = " ".join(str(block.body) for block in drawn["loss"].blocks if isinstance(block, Text))
    given = scores.details["mlm_loss"]["mentions_given"]["true"]
    assert f"covers: {given['known']:,} of {given['given']:,} mentions (true), " in page
    assert "over all tests" in page


def test_documents_are_read_once(world, tmp_path, monkeypatch):
    from kepipe.data import document_files

    reads, real = [], document_files.read_documents
    monkeypatch.setattr(document_files, "read_documents", lambda file: reads.append(file) or real(file))
    arms = (world.arms[0], writer(world, tmp_path))
    run(world, tmp_path, arms=arms)
    assert len(reads) == 1


def with_triples(**settings):
    knowledge = {"method": "k-bert", **settings}
    return EvaluateConfig.model_validate({"context": 48, "max_mentions": 30, "knowledge": knowledge})


def test_triples_of_a_graph_are_injected_for_all_arms(world, tmp_path):
    plain, _ = run(world, tmp_path / "plain")
    config = with_triples()
    assert EVALUATE.needs(config, {}) == ("graph",)
    scores, events = run(world, tmp_path / "injected", config, graph=world.graph)
    assert logged(events)["pretrain/entity_cloze/mentions_known"] > 0
    for arm in ("pretrain", "control"):
        assert scores.arms[arm]["entity_cloze"]["mrr"].cases == plain.arms[arm]["entity_cloze"]["mrr"].cases
        assert scores.arms[arm]["mlm_loss"]["tokens"] != plain.arms[arm]["mlm_loss"]["tokens"]
    unseen, _ = run(
        world, tmp_path / "unseen", with_triples(splits=["test"], soft_positions=False), graph=world.graph
    )
    assert unseen.arms == plain.arms, "no triple is written, so all is as without"


def with_facts(**settings):
    knowledge = {"method": "triples-as-text", **settings}
    return EvaluateConfig.model_validate({"context": 48, "max_mentions": 30, "knowledge": knowledge})


def test_causal_model_is_scored_with_facts_in_its_context(world, tmp_path):
    arms = (world.arms[0], writer(world, tmp_path))
    plain, _ = run(world, tmp_path / "plain", arms=arms)
    scores, events = run(world, tmp_path / "told", with_facts(), arms, graph=world.graph)
    assert scores.arms["pretrain"] != plain.arms["pretrain"]
    ours, theirs = scores.arms["writer"]["perplexity"], plain.arms["writer"]["perplexity"]
    assert ours["token_perplexity"].value != theirs["token_perplexity"].value
    assert ours["token_perplexity"].cases == theirs["token_perplexity"].cases, (
        "facts are no case of their own"
    )
    assert ours["fact_tokens"].value > 1
    assert "fact_tokens" not in theirs
    given = scores.details["perplexity"]["mentions_given"]["writer"]
    assert 0 < given["known"] <= given["given"]
    assert logged(events)["writer/perplexity/mentions_known"] == given["known"]
    assert (
        score_model(
            arms[1].folder,
            held_out_documents(world.linked, world.graph, world.shards, CONFIG, seed=0),
            None,
            AddedKnowledge(with_facts().knowledge, {"graph": world.graph.folder}),
        )["perplexity"]
        == ours
    )
    unseen, _ = run(world, tmp_path / "unseen", with_triples(splits=["test"]), arms, graph=world.graph)
    assert unseen.arms["writer"]["perplexity"]["fact_tokens"].value == 0


def test_knowledge_without_room_for_the_cases_is_rejected(world, tmp_path):
    with pytest.raises(ValueError, match=r"no room for .* blanks of a batch: rows have"):
        run(world, tmp_path, with_triples(length=8), graph=world.graph)


def test_model_without_weights_for_a_method_is_rejected(world, tmp_path):
    config = EvaluateConfig.model_validate({"context": 48, "knowledge": "ernie-tsinghua"})
    with pytest.raises(ValueError, match="no weights for ernie-tsinghua"):
        run(world, tmp_path, config)


QUIZ = {"probes": ("graph-quiz",), "graph_quiz": {"questions": 12}}


def test_quiz_needs_no_linked_text(world, tmp_path):
    """The documents link nothing: the other probes of the world could not ask about entities."""
    unlinked = [replace(document, mentions=(), gold=()) for document in world.documents]
    (tmp_path / "link").mkdir()
    write_documents(tmp_path / "link" / "documents.jsonl", unlinked)
    seal(tmp_path / "link", {}, "test-run")
    bare = replace(world, linked=type(world.linked).open(tmp_path / "link", "link"))
    scores, events = run(bare, tmp_path, EvaluateConfig(**QUIZ))
    assert set(scores.details) == {"graph_quiz"}
    assert scores.details["graph_quiz"]["questions"] == 12
    (difference,) = scores.differences
    apart = difference.scores["graph_quiz"]["accuracy"]
    accuracy = {arm: measured["graph_quiz"]["accuracy"].value for arm, measured in scores.arms.items()}
    assert apart.value == pytest.approx(accuracy["pretrain"] - accuracy["control"])
    assert logged(events)["control/graph_quiz/accuracy"] == accuracy["control"]
    lines = [json.loads(line) for line in (tmp_path / "out" / "quiz.jsonl").read_text().splitlines()]
    assert len(lines) == 12
    assert np.mean([1 / line["ranks"]["control"] for line in lines]) == pytest.approx(
        scores.arms["control"]["graph_quiz"]["mrr"].value
    )
    drawn = [section.name for section in evaluation.sections(scores, tmp_path / "out")]
    assert drawn == ["quiz", "quiz-examples"]


def test_vectors_of_the_stage_are_a_quiz_baseline(world, tmp_path):
    graph = open_graph(world.graph.folder)
    entities = np.zeros((len(graph), 3), np.float32)
    for head, _, tail in graph.triples("train").tolist():
        entities[head] = entities[tail] = [tail, tail**2, 1]
    save_vectors(tmp_path / "embed", graph.ids, entities, np.zeros((1, 3), np.float32), ["capital"], "TransE")
    seal(tmp_path / "embed", {}, "test-run")
    vectors = Vectors.open(tmp_path / "embed", "embed")
    scores, _ = run(world, tmp_path, EvaluateConfig(**QUIZ), vectors=vectors)
    assert scores.baselines["graph_quiz"]["vectors"]["accuracy"].value == 1


def test_quiz_fingerprint_follows_the_templates(tmp_path):
    file = tmp_path / "templates.tsv"
    digests = []
    for text in ("[X] is the capital of [Y].", "[X], the capital of [Y]."):
        file.write_text(f"capital\t{text}\n")
        digests.append(EVALUATE.fingerprint(EvaluateConfig(graph_quiz={"templates": file})))
    assert digests[0].keys() == digests[1].keys() == {"templates.tsv"}
    assert digests[0] != digests[1]
