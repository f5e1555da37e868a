import numpy as np
import pytest

from kepipe.data.document import Span
from kepipe.linking.features.affinity import Affinity
from kepipe.linking.features.describe import FEATURES
from kepipe.linking.features.surroundings import GROUPS
from kepipe.linking.kb.links import NIL, UNKNOWN, Link
from kepipe.linking.linker import Linker
from kepipe.linking.ranking.logistic_loss import logistic_loss
from kepipe.linking.ranking.ranker import fit
from kepipe.linking.text.annotations import Annotations, Name
from kepipe.linking.text.annotators import RuleAnnotator
from kepipe.linking.text.casing import Casing
from kepipe.linking.training.examples import (
    EASY_NEGATIVE,
    IGNORED,
    NEGATIVE,
    POSITIVE,
    TrainingExample,
    label_candidates,
    training_example,
)
from kepipe.linking.training.learn import EXTRA_SPLITS, FOLDS, learn
from kg.store import Graph


@pytest.fixture(scope="module")
def linker(graph: Graph) -> Linker:
    return Linker.build(graph, Casing({"reading": 0.9}))


def example(linker: Linker, text: str, *given: Link) -> TrainingExample:
    return training_example(linker, text, next(iter(RuleAnnotator().annotate([text]))), given)


def verdicts(linker: Linker, example: TrainingExample) -> dict[tuple[int, str], int]:
    matches = example.matches
    starts = matches.starts[matches.owners].tolist()
    ids = [linker.knowledge.ids[row] for row in matches.rows.tolist()]
    return dict(zip(zip(starts, ids, strict=True), label_candidates(example).tolist(), strict=True))


def test_labels_of_candidates(linker: Linker, graph: Graph) -> None:
    text = "Lincoln then York, Leeds and Reading and Omaha"
    given = [Link(0, 7, graph.row("lincoln-uk")), Link(13, 17, NIL), Link(19, 24, UNKNOWN)]
    assert verdicts(linker, example(linker, text, *given)) == {
        (0, "lincoln-ne"): NEGATIVE,
        (0, "lincoln-uk"): POSITIVE,
        (13, "york"): NEGATIVE,
        (19, "leeds"): IGNORED,
        (29, "reading"): EASY_NEGATIVE,
        (41, "omaha"): IGNORED,
    }


def test_an_unmarked_match_around_a_named_entity_is_ignored(linker: Linker) -> None:
    text = "Reading"
    for names, verdict in (((), EASY_NEGATIVE), ((Name(0, 4, "ORG"),), IGNORED)):
        annotation = Annotations((Span(0, len(text)),), (), names=names)
        assert label_candidates(training_example(linker, text, annotation, [])).tolist() == [verdict]


def test_a_trained_ranker_generalises_to_unseen_texts(
    linker: Linker, graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In these texts York is always a person's name, though it looks like the town. All rankers are fitted on the
    device, the last one and those of the cross-validation."""
    devices: list[str] = []
    monkeypatch.setattr(
        "kepipe.linking.ranking.ranker.logistic_loss",
        lambda *given: devices.append(given[-1]) or logistic_loss(*given),
    )
    examples = []
    for number in range(10, 40):
        text = f"Mr York, number {number}, left Omaha for Leeds."
        omaha, leeds = text.index("Omaha"), text.index("Leeds")
        examples.append(
            example(
                linker,
                text,
                Link(3, 7, NIL),
                Link(omaha, omaha + 5, graph.row("omaha")),
                Link(leeds, leeds + 5, graph.row("leeds")),
            )
        )
    learned = learn(examples, types=len(graph.type_names), device="mps")
    assert learned is not None
    assert devices == ["mps"] * (FOLDS * (1 + EXTRA_SPLITS) + 1)
    assert learned.validation.f1 == 1.0
    text = "Mr York, number 77, left Omaha for Leeds."
    trained = linker.with_ranker(learned.ranker)
    mentions = trained.link(text, next(iter(RuleAnnotator().annotate([text]))))
    assert [mention.entity for mention in mentions] == ["omaha", "leeds"]


def test_too_few_links_train_nothing(linker: Linker, graph: Graph) -> None:
    assert learn([example(linker, "Omaha", Link(0, 5, graph.row("omaha")))] * 5, types=3) is None


def test_affinity_is_the_log_odds_of_smoothed_shares() -> None:
    """Of all, and of the type, half are right; (4 + 4 / 2) / (4 + 4) of the places are, odds of 3."""
    place, person = GROUPS.index("place"), GROUPS.index("person")
    groups = np.asarray([place] * 4 + [person] * 4)
    types = np.asarray([0] * 4 + [0] * 4)
    right = np.asarray([True] * 4 + [False] * 4)
    affinity = Affinity.learn(groups, types, right, count=1)
    assert affinity.of(np.asarray([place, person, 0]), np.asarray([0, 0, -1])) == pytest.approx(
        [np.log(3.0), -np.log(3.0), 0.0]
    )


def test_non_negative_features_never_get_negative_weights() -> None:
    """Although in all training data the better connected candidate was wrong."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(400, len(FEATURES)))
    names = ("related", "near", "kind_clash", "phrase")
    related, near, conflict, phrase = (FEATURES.index(name) for name in names)
    right = features[:, conflict] + features[:, phrase] - features[:, related] - features[:, near] > 0
    weights = fit(features, right, np.ones(400), Affinity()).weights
    assert weights[related] == weights[near] == weights[conflict] == 0
    assert weights[phrase] > 0.5
