"""Training works, an interrupted run gives the same bytes, and vectors are found by id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kg.embedding import CHECKPOINT, Training, train
from kg.embedding_models import MODELS
from kg.embedding_optimizers import OptimizerName
from kg.ranking import Popularity, filtered_ranks, summarise
from kg.splits import hold_out
from kg.store import Graph, UnknownEntityError
from kg.vectors import INDEX, open_vectors, save_vectors
from kg.warm_start import start_from
from tests.support.graphs import numbered_graph

SMALL = Training(dim=16, epochs=25, negatives=128, learning_rate=0.1)


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    """A 12 × 12 grid with steps to the right by 1 and up by 1, 2: TransE can represent it, popularity cannot."""
    facts = []
    for row in range(12):
        for column in range(12):
            for relation, (up, right) in enumerate([(0, 1), (1, 0), (2, 0)]):
                if row + up < 12 and column + right < 12:
                    facts.append([row * 12 + column, relation, (row + up) * 12 + column + right])
    parts = hold_out(np.array(facts, np.int32), np.random.default_rng(0), 0.05, 0.1)
    return numbered_graph(tmp_path_factory.mktemp("grid"), 144, 3, **parts)


@pytest.mark.parametrize("optimizer", ["adam", "sparse-adam"])
def test_transe_beats_popularity(grid: Graph, tmp_path: Path, optimizer: OptimizerName) -> None:
    losses: list[float] = []
    settings = replace(SMALL, optimizer=optimizer)
    trained = train(grid, settings, tmp_path, 0, on_epoch=lambda _, figures: losses.append(figures["loss"]))
    assert trained.entities.shape == (144, 16)
    assert trained.relations.shape == (3, 16)
    assert len(losses) == SMALL.epochs
    assert losses[-1] < losses[0] / 2
    test = grid.triples("test")
    learnt = summarise(filtered_ranks(grid, test, trained.scorer))
    popular = summarise(filtered_ranks(grid, test, Popularity(grid)))
    assert learnt["mrr"] > 0.3 > 4 * popular["mrr"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    facts = np.array([[head, head % 2, (head + 1) % 8] for head in range(8)], np.int32)
    return numbered_graph(
        tmp_path_factory.mktemp("tiny"), 8, 2, train=facts[:6], valid=facts[6:7], test=facts[7:]
    )


class Killed(Exception):
    pass


def test_an_interrupted_sparse_training_ends_with_the_same_bytes(grid: Graph, tmp_path: Path) -> None:
    settings = replace(SMALL, optimizer="sparse-adam", epochs=6)
    whole = train(grid, settings, tmp_path / "none", seed=3)

    def die(epoch: int, _: Mapping[str, float]) -> None:
        if epoch == 4:
            raise Killed

    with pytest.raises(Killed):
        train(grid, settings, tmp_path, 3, on_epoch=die, save_every=0)
    resumed = train(grid, settings, tmp_path, 3)
    assert resumed.entities.tobytes() == whole.entities.tobytes()


def test_an_interrupted_training_ends_with_the_same_bytes(grid: Graph, tmp_path: Path) -> None:
    whole = train(grid, SMALL, tmp_path / "none", seed=3)
    epochs: list[int] = []

    def die_at(last: int) -> None:
        def on_epoch(epoch: int, _: Mapping[str, float]) -> None:
            epochs.append(epoch)
            if epoch == last:
                raise Killed

        with pytest.raises(Killed):
            train(grid, SMALL, tmp_path, 3, on_epoch=on_epoch, save_every=0)

    die_at(4)
    die_at(17)
    assert (tmp_path / CHECKPOINT).is_file()
    resumed = train(grid, SMALL, tmp_path, 3, on_epoch=lambda epoch, _: epochs.append(epoch), save_every=0)
    assert epochs == [1, 2, 3, 4, *range(4, 18), *range(17, 26)]
    again = train(grid, SMALL, tmp_path, 3, on_epoch=lambda epoch, _: epochs.append(epoch))
    assert epochs[-1] == 25
    for other in (resumed, again):
        assert other.entities.tobytes() == whole.entities.tobytes()
        assert other.relations.tobytes() == whole.relations.tobytes()


def test_early_stopping_keeps_the_best_also_after_an_interruption(grid: Graph, tmp_path: Path) -> None:
    """The rate is so high that the score falls again; the kill is after the best epoch and before the end."""
    settings = replace(SMALL, learning_rate=1.0, epochs=60, validate_every=2, patience=3)
    scores: dict[int, float] = {}

    def note(epoch: int, figures: Mapping[str, float]) -> None:
        if "valid_mrr" in figures:
            scores[epoch] = figures["valid_mrr"]

    whole = train(grid, settings, tmp_path / "none", seed=0, on_epoch=note)
    assert list(scores) == [*range(2, max(scores) + 1, 2)]
    best = max(scores, key=lambda epoch: scores[epoch])
    assert max(scores) == best + 2 * settings.patience < settings.epochs
    held_out = grid.triples("valid")
    assert summarise(filtered_ranks(grid, held_out, whole.scorer))["mrr"] == pytest.approx(scores[best])

    def die(epoch: int, _: Mapping[str, float]) -> None:
        if epoch == best + 3:
            raise Killed

    with pytest.raises(Killed):
        train(grid, settings, tmp_path, 0, on_epoch=die, save_every=0)
    for _ in range(2):  # the second time there is nothing left to train
        resumed = train(grid, settings, tmp_path, 0, save_every=0)
        assert resumed.entities.tobytes() == whole.entities.tobytes()


def test_known_vectors_are_continued_and_new_ones_start_near_their_neighbours(
    grid: Graph, tmp_path: Path
) -> None:
    """The grid is trained without its last column and one relation; then as a whole, for a few epochs."""
    everything = grid.triples()
    old = [row for row in range(144) if row % 12 != 11]
    kept = np.isin(everything[:, [0, 2]], old).all(axis=1) & (everything[:, 1] != 2)
    smaller = numbered_graph(tmp_path / "smaller", 144, 3, train=everything[kept])
    before = train(smaller, SMALL, tmp_path / "before", seed=0)
    ids = [f"e{row}" for row in reversed(old)]  # rows need not be the same
    save_vectors(tmp_path / "old", ids, before.entities[old[::-1]], before.relations[:2], ["r0", "r1"])
    start = start_from(tmp_path / "old", grid)
    assert start.entity_rows[: len(old)].tolist() == old
    assert start.entities[5].tolist() == before.entities[5].tolist()
    assert start.relation_rows.tolist() == [0, 1]
    new = start.entity_rows.tolist().index(23)  # at the right end of the second row: 22 + one to the right
    tied = everything[(everything[:, 2] == 23) & np.isin(everything[:, 0], old)]
    assert tied.tolist() == [[22, 0, 23]]
    np.testing.assert_allclose(start.entities[new], before.entities[22] + before.relations[0], rtol=1e-5)
    few = replace(SMALL, epochs=3)
    cold = train(grid, few, tmp_path / "cold", seed=1)
    warm = train(grid, few, tmp_path / "warm", seed=1, start=start)
    by_cold, by_warm = (
        summarise(filtered_ranks(grid, grid.triples("test"), trained.scorer))["mrr"]
        for trained in (cold, warm)
    )
    assert by_warm > 2 * by_cold


def test_a_start_of_another_dimension_is_an_error(grid: Graph, tmp_path: Path) -> None:
    save_vectors(tmp_path, ["e1"], np.ones((1, 8), np.float32), np.ones((1, 8), np.float32), ["r0"])
    start = start_from(tmp_path, grid)
    with pytest.raises(ValueError, match="old vectors have dimension 8, TransE with dim 16"):
        train(grid, SMALL, tmp_path, 0, start=start)
    with pytest.raises(ValueError, match="no vector for any of the graph's entities"):
        start_from(tmp_path, numbered_graph(tmp_path / "g", 1, 1))
    (tmp_path / "relations.txt").write_text("r0\nr1\n")
    with pytest.raises(ValueError, match=r"relations\.txt: 2 complete lines, for 1 vectors"):
        start_from(tmp_path, grid)
    (tmp_path / "relations.txt").unlink()
    with pytest.raises(ValueError, match=r"relations\.txt is missing"):
        start_from(tmp_path, grid)


def test_another_model_of_pykeen(grid: Graph, tmp_path: Path) -> None:
    settings = Training(model="RotatE", dim=4, epochs=2, batch=128, negatives=2)
    trained = train(grid, settings, tmp_path, seed=0)
    assert trained.entities.shape == (144, 8)  # complex numbers count as two
    ranks = filtered_ranks(grid, grid.triples("test"), trained.scorer)
    assert ranks.min() >= 1
    assert ranks.max() <= 144


@pytest.mark.parametrize("model", MODELS)
def test_every_model_is_trained_and_ranks(tiny: Graph, tmp_path: Path, model: str) -> None:
    values: list[float] = []
    settings = Training(model=model.upper(), dim=8, epochs=1, negatives=4, validate_every=1)
    trained = train(tiny, settings, tmp_path, 0, on_epoch=lambda _, figures: values.append(figures["loss"]))
    assert len(values) == 1
    assert np.isfinite(values).all()
    assert len(trained.entities) == 8
    assert len(trained.relations) == 2
    assert np.isfinite(filtered_ranks(tiny, tiny.triples("test"), trained.scorer)).all()


@pytest.mark.parametrize("model", ["ComplEx", "ConvE"])
def test_another_model_continues_after_an_interruption(grid: Graph, tmp_path: Path, model: str) -> None:
    """Complex numbers; dropout, whose generator must be restored as well."""
    settings = Training(model=model, dim=8, epochs=4, negatives=4, validate_every=2)

    def die(epoch: int, _: Mapping[str, float]) -> None:
        if epoch == 3:
            raise Killed

    whole = train(grid, settings, tmp_path / "none", seed=1)
    with pytest.raises(Killed):
        train(grid, settings, tmp_path, 1, on_epoch=die, save_every=0)
    resumed = train(grid, settings, tmp_path, 1)
    assert resumed.entities.tobytes() == whole.entities.tobytes()
    assert resumed.relations.tobytes() == whole.relations.tobytes()


def test_training_batches_have_more_than_one_triple(tiny: Graph, tmp_path: Path) -> None:
    settings = Training(model="TuckER", dim=8, epochs=1, negatives=4, batch=5)
    assert settings.batch_of(6) == 6
    assert settings.batch_of(7) == 5
    assert settings.batch_of(31) == 7  # 31 is one more than 5 · 6
    assert train(tiny, settings, tmp_path, 0).entities.shape == (8, 8)


def test_validation_does_not_change_training(grid: Graph, tmp_path: Path) -> None:
    """With TuckER, which has dropout and batch norm."""
    settings = Training(model="TuckER", dim=8, epochs=3, negatives=4, validate_every=1)
    watched = train(grid, settings, tmp_path, seed=1)
    unwatched = train(grid, replace(settings, validate_every=0), tmp_path, seed=1)
    assert watched.entities.tobytes() == unwatched.entities.tobytes()
    rows = grid.triples("test")[:, :2].astype(np.int64).T
    assert np.array_equal(watched.scorer.tails(*rows), unwatched.scorer.tails(*rows))


@pytest.mark.parametrize(
    ("model", "why"),
    [
        ("TransX", "PyKEEN has no model of this name"),
        ("compgcn", "needs inverse triples"),
        ("FixedModel", "no vectors of entities"),
        ("DistMultLiteral", "numeric attributes of entities"),
    ],
)
def test_the_error_for_an_unsupported_model_lists_the_supported_ones(
    grid: Graph, tmp_path: Path, model: str, why: str
) -> None:
    with pytest.raises(ValueError, match=rf"'{model}': .*{why}.*; expected .*TransE") as refused:
        train(grid, Training(model=model), tmp_path, seed=0)
    assert "Literal," not in str(refused.value)


@pytest.mark.parametrize(
    ("model", "epochs", "what"), [("DistMult", 4, "the loss is"), ("DistMult", 1, "the vectors are")]
)
def test_vectors_that_are_not_finite_are_an_error(
    tiny: Graph, tmp_path: Path, caplog: pytest.LogCaptureFixture, model: str, epochs: int, what: str
) -> None:
    """Detected at the next loss, or at the end after the last step."""
    settings = Training(model=model, dim=8, epochs=epochs, learning_rate=1e38, batch=10_000)
    with pytest.raises(ValueError, match=rf"{model}: {what} not finite: .*The learning rate was 1e\+38"):
        train(tiny, settings, tmp_path, seed=0)
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


def test_vectors_by_id(tmp_path: Path) -> None:
    table = np.arange(6, dtype=np.float32).reshape(3, 2)
    save_vectors(tmp_path, ["a", "é b", "柏林"], table, np.ones((1, 2), np.float32))
    vectors = open_vectors(tmp_path)
    assert (len(vectors), vectors.dim) == (3, 2)
    assert vectors["é b"].tolist() == [2, 3]
    assert vectors.get("x") is None
    assert vectors.lookup(["柏林", "x"], missing="zeros").tolist() == [[4, 5], [0, 0]]
    with pytest.raises(UnknownEntityError, match="no vector for entity 'x'"):
        vectors.lookup(["a", "x"])
    from safetensors.numpy import load_file

    assert load_file(tmp_path / "vectors.safetensors")["entities"].tolist() == table.tolist()


def test_a_folder_without_an_index_is_read(tmp_path: Path) -> None:
    table = np.arange(6, dtype=np.float32).reshape(3, 2)
    save_vectors(tmp_path, ["a", "é b", "柏林"], table)
    found = open_vectors(tmp_path).rows(["柏林", "b", "a"])
    (tmp_path / INDEX).unlink()
    old = open_vectors(tmp_path)
    assert old.rows(["柏林", "b", "a"]).tolist() == found.tolist() == [2, -1, 0]
    assert list(old.ids) == ["a", "é b", "柏林"]


def test_vectors_can_be_saved_over_their_own_files(tmp_path: Path) -> None:
    save_vectors(tmp_path, ["a", "b"], np.eye(2, dtype=np.float32))
    mapped = open_vectors(tmp_path)
    save_vectors(tmp_path, mapped.ids, mapped.matrix)
    assert open_vectors(tmp_path).lookup(["b", "a"]).tolist() == [[0, 1], [1, 0]]


def test_an_index_of_other_ids_is_an_error(tmp_path: Path) -> None:
    for name, ids in (("one", ["a"]), ("two", ["a", "b"])):
        save_vectors(tmp_path / name, ids, np.eye(2, dtype=np.float32)[: len(ids)])
    (tmp_path / "one" / INDEX).replace(tmp_path / "two" / INDEX)
    with pytest.raises(ValueError, match=r"entities\.safetensors: does not match"):
        open_vectors(tmp_path / "two").rows(["a"])


def test_an_id_with_a_line_break_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="an entity's id contains a line break"):
        save_vectors(tmp_path, ["a\nb"], np.zeros((1, 2), np.float32))


def test_ids_and_vectors_must_match(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="2 ids for 3 vectors"):
        save_vectors(tmp_path, ["a", "b"], np.zeros((3, 2), np.float32))
