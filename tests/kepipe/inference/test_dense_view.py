"""The dense view of a graph: training, names, contexts, and what it adds to a linker."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kepipe.inference.dense_view import MAX_TOKENS, TokenRows, build_dense_view
from kepipe.linking.evaluation.explain import explain
from kepipe.linking.features.dense import context_similarity
from kepipe.linking.kb.dense import WINDOW, DenseView, entity_names, entity_texts
from kepipe.linking.linker import CONTEXT_WEIGHT, Linker
from kepipe.linking.text.batch import TextBatch
from kepipe.linking.training.context_pairs import context_pairs
from kepipe.models.pretrained import locate
from kg.schema import Entity, Relation, Triple
from kg.store import Graph
from kg.writer import write_graph
from tests.support.linking import ENTITIES, TRIPLES, annotate, random_view

IN_NEBRASKA = "Lincoln is the capital of Nebraska, southwest of Omaha."
IN_ENGLAND = "Lincoln, with its cathedral, is north of London in Lincolnshire."
STEPS = 20


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    folder = tmp_path_factory.mktemp("places")
    return write_graph(folder, ENTITIES, [Relation("in", "in")], {"train": TRIPLES})


@pytest.fixture(scope="module")
def plain(graph: Graph) -> Linker:
    return Linker.build(graph)


@pytest.fixture(scope="module")
def view(graph: Graph) -> DenseView:
    return random_view(graph, {})


@pytest.fixture(scope="module")
def linker(plain: Linker, view: DenseView) -> Linker:
    return replace(plain, dense=view)


def similarities(linker: Linker, text: str) -> dict[str, float]:
    """The feature of each candidate of the first match of a text."""
    assert linker.dense is not None
    batch = TextBatch((text,), ("",), (annotate(text),))
    matches = linker.find(text, annotate(text))
    values = context_similarity(batch, matches, linker.dense)
    first = matches.owners == 0
    ids = [linker.knowledge.ids[row] for row in matches.rows[first].tolist()]
    return dict(zip(ids, values[first].tolist(), strict=True))


def test_training_brings_synonyms_together_and_can_be_repeated(graph: Graph, plain: Linker) -> None:
    before = build_dense_view(plain, graph, locate("minilm"), 0)
    losses = list[float]()
    trained, again = (
        build_dense_view(
            plain, graph, locate("minilm"), STEPS, seed=1, on_step=lambda _, loss, __: losses.append(loss)
        )
        for _ in range(2)
    )
    assert losses[:STEPS] == losses[STEPS:]
    assert np.mean(losses[STEPS - 5 : STEPS]) < 0.7 * np.mean(losses[:5])
    assert trained.tokens.tobytes() == again.tokens.tobytes()
    assert trained.name_vectors.tobytes() == again.name_vectors.tobytes()
    names = "United Kingdom", "Great Britain"

    def cosine(of: DenseView) -> float:
        first, second = of.vectors(names)
        return float(first @ second)

    assert cosine(trained) > cosine(before) + 0.05
    assert trained.origin == {"steps": STEPS}


def test_the_nearest_name_is_that_of_the_largest_cosine(view: DenseView) -> None:
    surfaces = ["the Kingdom of Britain", "New York", "a cathedral in Nebraska"]
    places, cosines = view.nearest(surfaces)
    table = view.vectors(surfaces) @ view.name_vectors.astype(np.float32).T
    assert places.tolist() == table.argmax(axis=1).tolist()
    assert cosines == pytest.approx(table.max(axis=1))
    assert np.linalg.norm(view.name_vectors.astype(np.float32), axis=1) == pytest.approx(1.0, abs=1e-3)


def test_names_are_those_of_the_graph_without_other_spellings_in_case(tmp_path: Path) -> None:
    entities = [Entity("a", "Io", ("IO", "Jupiter I")), Entity("b", "Jupiter")]
    names, rows = entity_names(write_graph(tmp_path, entities, [], {}))
    assert names == ["Io", "Jupiter I", "Jupiter"]
    assert rows.tolist() == [0, 0, 1]


def test_the_candidate_whose_description_fits_the_context_is_the_nearest(linker: Linker) -> None:
    for text, right, wrong in (
        (IN_NEBRASKA, "lincoln-ne", "lincoln-uk"),
        (IN_ENGLAND, "lincoln-uk", "lincoln-ne"),
    ):
        found = similarities(linker, text)
        assert found[right] == 0.0
        assert -2.0 <= found[wrong] < -0.02
    assert similarities(linker, "Omaha is in Nebraska.") == {"omaha": 0.0}


def test_the_similarity_is_added_to_the_logit_and_explained(plain: Linker, linker: Linker) -> None:
    def scores(of: Linker) -> dict[str, tuple[float, dict[str, float]]]:
        lincoln = explain(of, IN_ENGLAND, annotate(IN_ENGLAND))[0]
        return {
            choice.entity: (choice.score, {name: value for name, _, value in choice.parts})
            for choice in lincoln.choices
        }

    without, having = scores(plain), scores(linker)
    for entity, similarity in similarities(linker, IN_ENGLAND).items():
        (before, parts), (after, more) = without[entity], having[entity]
        added = np.log(after / (1 - after)) - np.log(before / (1 - before))
        assert added == pytest.approx(CONTEXT_WEIGHT * similarity)
        assert more.pop("dense", 0.0) == pytest.approx(CONTEXT_WEIGHT * similarity)
        assert more == parts


def test_a_context_depends_on_its_window_alone(view: DenseView) -> None:
    far = "cathedral " * WINDOW
    alone = TextBatch((IN_NEBRASKA,), ("",), (annotate(IN_NEBRASKA),))
    texts = (far, IN_NEBRASKA, f"{IN_NEBRASKA}{' ' * WINDOW}{far}")
    together = TextBatch(texts, ("",) * 3, tuple(map(annotate, texts)))
    span = np.asarray([0]), np.asarray([7])
    own = view.contexts(alone, *span)
    among = view.contexts(together, *(place + together.begins[1:3] for place in span))
    assert own.shape == (1, view.descriptions.shape[1])
    assert np.array_equal(among[0], own[0])
    assert np.array_equal(among[1], own[0])
    assert own[0] == pytest.approx(view.vectors([IN_NEBRASKA])[0], abs=1e-6)


def test_training_reads_the_context_that_linking_reads(tmp_path: Path) -> None:
    """Around a mention that begins at character 500 of a description, to the end of the context."""
    before, after = "king " * 100, " sea" * 100
    text = f"{before}Ganymede{after}"
    entities = [
        Entity("a", "Io", (), text, ("moon",), 1e6),
        Entity("b", "Ganymede", (), "a moon", ("moon",), 1e6),
    ]
    graph = write_graph(tmp_path, entities, [], {})
    pairs = context_pairs(Linker.build(graph), graph)
    assert pairs.rows.tolist() == [1]
    assert pairs.texts == [f"{'king ' * (WINDOW // 5)}Ganymede{' sea' * (WINDOW // 4)}"]
    view = random_view(graph, {})
    read = TokenRows.of([text], pairs.texts, view.tokenizer)
    assert len(read.take(np.asarray([0]))[0]) == MAX_TOKENS
    tokens, _ = read.take(np.asarray([1]))
    assert tokens.tolist() == view.tokenizer.encode(pairs.texts).tokens.tolist()
    assert len(tokens) > 2 * MAX_TOKENS
    batch = TextBatch((text,), ("",), (annotate(text),))
    linked = view.contexts(batch, np.asarray([500]), np.asarray([508]))
    assert linked[0] == pytest.approx(view.vectors(pairs.texts)[0], abs=1e-6)


def test_a_saved_linker_has_its_view_memory_mapped(plain: Linker, linker: Linker, tmp_path: Path) -> None:
    for name, each in (("with", linker), ("without", plain)):
        each.save(tmp_path / name)
    opened = Linker.open(tmp_path / "with")
    texts = [(text, "", annotate(text)) for text in (IN_NEBRASKA, IN_ENGLAND)]
    links = list(linker.link_all(texts))
    assert list(opened.link_all(texts)) == links
    assert opened.dense is not None
    assert opened.dense.origin == {"steps": 0}
    assert not opened.dense.name_vectors.flags.owndata
    assert not opened.dense.name_vectors.flags.writeable
    assert Linker.open(tmp_path / "without").dense is None
    assert not (tmp_path / "without" / "dense").exists()
    assert "dense" not in (tmp_path / "without" / "linker.json").read_text()
    (tmp_path / "with" / "dense" / "dense.json").unlink()
    with pytest.raises(ValueError, match=r"dense\.json is missing; make the linker again"):
        Linker.open(tmp_path / "with")


def test_entity_without_description_is_described_by_types_and_neighbours(tmp_path: Path) -> None:
    entities = [Entity("a", "Io", (), "", ("moon",)), Entity("b", "Jupiter", (), "a planet")]
    graph = write_graph(tmp_path, entities, [Relation("in", "in")], {"train": [Triple("a", "in", "b")]})
    assert list(entity_texts(graph)) == ["Io: moon, Jupiter", "Jupiter: a planet"]


def test_a_graph_without_synonyms_triples_and_mentions_is_refused(tmp_path: Path) -> None:
    graph = write_graph(tmp_path, [Entity("a", "Io"), Entity("b", "Ganymede")], [], {})
    linker = Linker.build(graph)
    with pytest.raises(ValueError, match="there is nothing to align on"):
        build_dense_view(linker, graph, locate("minilm"), 1)
    assert build_dense_view(linker, graph, locate("minilm"), 0).nearest(["ganymede"])[0].tolist() == [1]
