import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kepipe.data.document import Span
from kepipe.linking import page as paging
from kepipe.linking.casing import Casing
from kepipe.linking.linker import Linker
from kepipe.linking.page import Page, pages
from kepipe.linking.policy import Policy
from kepipe.linking.reading import Name, Reading, RuleReader
from kg.store import Graph

WORDS = (
    "New York", "New York City", "York", "Lincoln", "Nebraska", "reading", "Reading", "Lincoln, Nebraska", "the",
    "United Kingdom", "Paul Lincoln", "Yorkshire", "LEEDS", "東京", "住む", "cathedral", "he", "her", "in",
    "Leeds-York", "İ", "ﬁrst", "New\u00adYork", "ΟΔΟΣ", "Noank, ", "\n", "\U0001f600", ". ", " ", "",
)  # fmt: skip
written = st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join)


@st.composite
def rows(draw: st.DrawFn) -> tuple[str, str, Reading]:
    """A text, a title, and what a reader of whatever skill may say of the text."""
    text = draw(written)
    sentences = next(iter(RuleReader().read([text]))).sentences
    cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=8)))
    spans = tuple(Span(*pair) for pair in zip(cuts[::2], cuts[1::2], strict=False))
    labels = draw(st.lists(st.sampled_from(("PERSON", "GPE", "DATE")), min_size=4, max_size=4))
    names = tuple(Name(*span, label) for span, label in zip(spans, labels, strict=False))
    reading = Reading(
        sentences,
        draw(st.sampled_from((spans, ()))),
        draw(st.sampled_from((spans, None))),
        draw(st.sampled_from((names, None))),
    )
    return text, draw(st.sampled_from(("", "Lincoln", "a city"))), reading


@pytest.fixture(scope="module")
def linker(graph: Graph) -> Linker:
    """One whose every feature counts, so that no difference hides."""
    linker = Linker.build(graph, Casing({"reading": 0.9}))
    weights = np.random.default_rng(0).normal(0.0, 1.0, len(linker.ranker.weights))
    return linker.with_ranker(type(linker.ranker)(weights, 1.0, 0.3))


@settings(max_examples=150, deadline=None)
@given(st.lists(rows(), max_size=6), st.booleans(), st.booleans())
def test_many_texts_are_linked_as_one_by_one(
    linker: Linker, texts: list[tuple[str, str, Reading]], gate: bool, pronouns: bool
) -> None:
    policy = Policy(gate=gate, pronouns=pronouns)
    together = list(linker.link_all(texts, policy))
    alone = [linker.link(text, reading, title, policy) for text, title, reading in texts]
    assert together == alone


@settings(deadline=None)
@given(st.lists(rows(), min_size=1, max_size=4))
def test_a_page_shifts_places(texts: list[tuple[str, str, Reading]]) -> None:
    (page,) = pages(texts)
    spans = page.spans(reading.phrases for _, _, reading in texts)
    shown = [page.text[start:end] for start, end in spans.tolist()]
    assert shown == [text[start:end] for text, _, reading in texts for start, end in reading.phrases]
    numbers = [number for number, (_, _, reading) in enumerate(texts) for _ in reading.phrases]
    assert page.number(spans[:, 0]).tolist() == numbers


def test_a_page_ends_at_its_size_and_at_its_number_of_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "PAGE", 10)
    monkeypatch.setattr(paging, "MOST", 3)
    rows = [(text, "", Reading((), ())) for text in ("a" * 12, "b", "c" * 9, "d", "e", "f", "g")]
    cut: list[Page] = list(pages(rows))
    assert [len(page.texts) for page in cut] == [1, 2, 3, 1]
