"""The answer about each property, and its table, from the figures."""

from __future__ import annotations

from kepipe.report.halves import blocks, measures
from kepipe.report.page import Table, Text
from kepipe.studies.design import Measure
from kepipe.studies.findings import Finding, find
from tests.support.studies import Values, design_of

WORDS, CONTEXT = (0.50, 0.52, 0.51), (0.60, 0.62, 0.63)
FARTHER, NOISY = (0.802, 0.821, 0.832), (0.45, 0.75, 0.62)


def findings(half: str, values: Values, task: str = "cite") -> Finding:
    measure = Measure(stage=task, metric=f"test/{half}/accuracy", better="higher")
    return find(design_of(values, measure, reference="words"), measure, values)


def both(easier: str, harder: str, on_harder: tuple[float, ...]) -> list[Finding]:
    return [
        findings(easier, {"words": WORDS, "context": CONTEXT}),
        findings(harder, {"words": WORDS, "context": on_harder}),
    ]


def test_a_larger_advantage_is_named_with_its_correction() -> None:
    text, table = blocks(both("simple", "complex", FARTHER), "words")
    assert isinstance(text, Text)
    assert isinstance(table, Table)
    assert text.body == (
        "By complexity: is an arm's advantage over words larger on the complex half of the test than on the simple "
        "one? By its 95% interval it is larger for context in cite (+0.202). After Holm's correction for 1 difference "
        "of differences: context in cite (+0.202) also."
    )
    assert table.head[2:5] == ("simple", "complex", "advantage over words, complex − simple")
    assert table.rows[0][4:] == ("", "", "")
    assert table.rows[1][:2] == ("cite", "context")
    assert table.rows[1][4] == "+0.202"


def test_a_smaller_advantage_is_named() -> None:
    text, _ = blocks(both("familiar", "unfamiliar", tuple(w + 0.002 for w in WORDS)), "words")
    assert isinstance(text, Text)
    assert "By unseen:" in text.body
    assert "it is smaller for context in cite (−0.105)" in text.body


def test_without_a_clear_difference_nothing_is_claimed() -> None:
    text, _ = blocks(both("unambiguous", "ambiguous", NOISY), "words")
    assert isinstance(text, Text)
    assert text.body.endswith(
        "Not shown: of 1 difference of differences, no 95% interval is on one side of 0."
    )


def test_measures_of_the_tables_are_those_with_both_halves() -> None:
    whole = Measure(stage="cite", metric="test/accuracy", better="higher")
    found = [
        *both("simple", "complex", FARTHER),
        find(design_of({"words": WORDS}, whole, reference="words"), whole, {"words": WORDS}),
        findings("familiar", {"words": WORDS}),
    ]
    assert measures(found) == {"cite/test/simple/accuracy", "cite/test/complex/accuracy"}
    assert [*blocks(found[2:], "words")] == []
