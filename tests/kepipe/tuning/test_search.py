"""A search by Optuna that is killed and resumed."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path

import pytest

from kepipe.tuning.ranges import read_ranges
from kepipe.tuning.search import Method, Search

RANGES = read_ranges(["rate=1e-5..1e-1:log", "layers=1..6", "kind=[one, two, null]"])
METHOD = Method(startup=3, seed=7)


def value_of(settings: Mapping[str, str]) -> float:
    """A metric that is best at a low learning rate with many layers."""
    return float(settings["rate"]) - int(settings["layers"]) / 10 + len(settings["kind"]) / 100


def go_on(folder: Path, trials: int, higher: bool = False, method: Method = METHOD) -> Search:
    search = Search(folder, RANGES, higher, method)
    while len(search.ended()) < trials:
        trial = search.next()
        trial.finish(value_of(trial.settings))
    return search


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Search:
    """Six trials without interruption."""
    return go_on(tmp_path_factory.mktemp("whole"), 6)


def test_trials_are_within_the_ranges_and_differ(whole: Search) -> None:
    trials = whole.ended()
    assert [trial.number for trial in trials] == list(range(6))
    assert all(trial.status == "finished" and trial.why == "" for trial in trials)
    assert all(1e-5 <= float(trial.settings["rate"]) <= 1e-1 for trial in trials)
    assert all(1 <= int(trial.settings["layers"]) <= 6 for trial in trials)
    assert {trial.settings["kind"] for trial in trials} <= {"one", "two", "null"}
    assert len({trial.settings["rate"] for trial in trials}) == 6


def test_best_trial_is_the_first_with_the_best_value(whole: Search, tmp_path: Path) -> None:
    values = [trial.value for trial in whole.ended()]
    best = whole.best()
    assert best is not None
    assert best.number == values.index(min(value for value in values if value is not None))
    search = Search(tmp_path, RANGES, True, METHOD)
    assert search.best() is None
    for value in (1.0, 3.0, 3.0, 2.0):
        search.next().finish(value)
    best = search.best()
    assert best is not None
    assert (best.number, best.value) == (1, 3.0)


def test_killed_search_resumes_with_the_same_trials(whole: Search, tmp_path: Path) -> None:
    for place in (2, 5, 5):
        search = go_on(tmp_path, place)
        left = search.next()
        assert left.number == place
        assert not left.report(1.0, 1)
        del search, left  # as a kill leaves it: at work, for all that the file says
    search = Search(tmp_path, RANGES, False, METHOD)
    assert search.next().settings == whole.ended()[5].settings
    assert go_on(tmp_path, 6).ended() == whole.ended()


def test_search_folder_may_have_any_name(tmp_path: Path) -> None:
    folder = tmp_path / "50%41 ?x=1#y"
    folder.mkdir()
    assert len(go_on(folder, 1).ended()) == 1
    assert len(Search(folder, RANGES, False, METHOD).ended()) == 1
    assert [file.name for file in tmp_path.iterdir()] == [folder.name]


def test_search_seeds_give_different_settings(whole: Search, tmp_path: Path) -> None:
    other = go_on(tmp_path, 2, method=Method(startup=3, seed=8))
    assert [trial.settings for trial in other.ended()] != [trial.settings for trial in whole.ended()[:2]]


@pytest.mark.parametrize("killed", [False, True])
def test_pruned_trial_is_worse_than_the_median_at_a_step(tmp_path: Path, killed: bool) -> None:
    """By hand: after 1, 2, 3 at step 4 the median is 2. A trial counts with its best value, also after a kill."""
    search = Search(tmp_path, RANGES, False, METHOD)
    for value in (1.0, 2.0, 3.0):
        trial = search.next()
        assert not trial.report(value, 4)
        trial.finish(value)
    good = search.next()
    assert not good.report(1.9, 2)
    if killed:
        search, before = Search(tmp_path, RANGES, False, METHOD), good.settings
        good = search.next()
        assert good.settings == before
    assert not good.report(9.0, 4)
    good.prune("by hand")
    worse = search.next()
    assert worse.report(2.1, 4)
    worse.prune("worse than the median")
    search.next().fail("no memory")
    ended = [(trial.status, trial.value, trial.why) for trial in search.ended()[3:]]
    assert ended == [
        ("pruned", None, "by hand"), ("pruned", None, "worse than the median"), ("failed", None, "no memory"),
    ]  # fmt: skip
    best = search.best()
    assert best is not None
    assert best.value == 1.0


def test_search_file_has_only_numbers_and_json(whole: Search) -> None:
    """It contains no pickles."""
    with sqlite3.connect(whole.file) as database:
        tables = [name for (name,) in database.execute("select name from sqlite_master where type = 'table'")]
        assert "trials" in tables
        for table in tables:
            for row in database.execute(f"select * from {table}"):
                assert not any(isinstance(value, bytes) for value in row), table
        for (text,) in database.execute("select value_json from trial_user_attributes"):
            json.loads(text)
