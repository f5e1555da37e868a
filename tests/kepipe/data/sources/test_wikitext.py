import pytest
from hypothesis import given
from hypothesis import strategies as st

from kepipe.data.sources.wikitext import convert, normalise_title

CASES = {
    "'''Bold''' and ''italic'', [[Paris]].": "Bold and italic, Paris.",
    "A{{citation needed}} fact<ref name=x>Source</ref>, <ref name=x/>here.": "A fact, here.",
    "{{Infobox|a=b}}\nText ({{IPA|x}}; {{lang|fr|la ville}}) at {{convert|1300|mi|km}}.": (
        "Text (la ville) at 1300 mi."
    ),
    "Before\n{| class=x\n! head\n|-\n| cell\n|}\nafter": "Before\nafter",
    "One.<!-- no -->\n\n== History ==\nTwo &amp; three&nbsp;four.<br />Five": "One.\nTwo & three four.\nFive",
    "[[File:X.jpg|thumb|A [[cat]]]] [[Category:Cats]]Text[[de:Katze]]": "Text",
    "Body\n== See also ==\n* [[Other]]\n=== Deeper ===\nx\n== More ==\nKept": "Body\nKept",
    "* item\n# number\n: indented": "item\nnumber\nindented",
    "unbalanced ''quote and <ref>ref\nnext }} line": "unbalanced quote and\nnext line",
    "an [http://x.org example] and http://bare.org": "an example and",
}


@pytest.mark.parametrize("wikitext", CASES)
def test_wikitext_is_converted_to_plain_text(wikitext: str) -> None:
    assert convert(wikitext)[0] == CASES[wikitext]


def test_anchors_point_into_the_clean_text() -> None:
    text, anchors = convert(
        "{{x}} In ( [[Lincoln, Nebraska|Lincoln]] ), ''the [[new York_City#Parks| city ]]'', [[#here|below]], "
        "[[a|[[nested]]]] and [[plural]]s."
    )
    found = [(text[anchor.start : anchor.end], anchor.entity) for anchor in anchors]
    assert ("Lincoln", "Lincoln, Nebraska") in found
    assert ("city", "New York City") in found
    assert ("plural", "Plural") in found
    assert "below" in text
    assert "below" not in [surface for surface, _ in found]


def test_titles_are_normalised() -> None:
    assert normalise_title(":new_York  City#Parks") == "New York City"


@given(st.text(alphabet="ab[]{}|='<>/ \n*:", max_size=60))
def test_any_text_is_converted_and_anchors_are_within_it(wikitext: str) -> None:
    text, anchors = convert(wikitext)
    assert "\ue000" not in text
    assert all(0 <= anchor.start < anchor.end <= len(text) for anchor in anchors)
