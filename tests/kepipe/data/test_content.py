from kepipe.data.content import KnownTexts, content_words

LONG = "The patients were given two doses of the drug and all of them slept well that night."


def test_content_words_are_normalised() -> None:
    assert content_words("The «Drug»<< X-ray >>, ＡＢ!") == ["the", "drug", "x", "ray", "ab"]
    assert content_words("药物 good") == ["药", "物", "good"]


def test_a_text_is_found_inside_another_ignoring_punctuation_and_case() -> None:
    known = KnownTexts.of([LONG])
    marked = LONG.replace("the drug", "[[ The   Drug ]]").upper()
    assert known.found_in(f"Methods. {marked} Results were good.")
    assert not known.found_in(
        "The patients were given two doses of another drug and some of them slept badly."
    )


def test_a_short_text_only_matches_as_a_whole() -> None:
    known = KnownTexts.of(["A good film."])
    assert known.found_in("a GOOD film")
    assert not known.found_in("This is a good film.")
    assert not KnownTexts.of(["…"]).found_in("?!")
