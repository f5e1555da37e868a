import re
from itertools import combinations
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from kepipe.linking.candidates.matcher import Matcher, boundaries
from kepipe.linking.text.characters import LETTER, OTHER, UNSPACED, classify, code_points

text = st.text(alphabet="ab é1.-日\n", max_size=20)
name = st.text(alphabet="ab é1.-日", min_size=1, max_size=5).filter(lambda name: name == name.strip())


def cuts(text: str) -> list[int]:
    return [
        place
        for place in range(len(text) + 1)
        if not re.match(r"[^\W_日]", text[place - 1 : place] or ".")
        or not re.match(r"[^\W_日]", text[place:] or ".")
    ]


def test_classes_are_those_of_regular_expressions() -> None:
    codes = [*range(0x3100), *range(0xFF00, 0x1F700)]
    for code, found in zip(codes, classify(code_points("".join(map(chr, codes)))).tolist(), strict=True):
        assert (found in (LETTER, UNSPACED)) == bool(re.match(r"[^\W_]", chr(code)))
    assert classify(code_points("日・a-")).tolist() == [UNSPACED, 3, LETTER, OTHER]


@settings(deadline=None)
@given(text)
def test_boundaries_are_those_of_a_regular_expression(text: str) -> None:
    assert boundaries(code_points(text)).tolist() == cuts(text)


@settings(deadline=None)
@given(st.sets(name, max_size=12), text)
def test_all_and_only_names_between_boundaries_are_found(names: set[str], text: str) -> None:
    numbers = {name: number for number, name in enumerate(names)}
    found = Matcher.build(list(names)).find(text)
    windows = ((numbers.get(text[start:end], -1), start, end) for start, end in combinations(cuts(text), 2))
    expected = [stretch for stretch in windows if stretch[0] >= 0]
    assert list(zip(*(column.tolist() for column in found), strict=True)) == expected


def test_a_saved_matcher_finds_the_same_names(tmp_path: Path) -> None:
    names = ["new york", "york", "new york city", *(f"name {number}" for number in range(200_000))]
    made = Matcher.build(names)
    made.save(tmp_path)
    text = "in new york city, name 65536 and name 199999 and name 200000"
    found = [(names[key], start) for key, start, _ in zip(*Matcher.open(tmp_path).find(text), strict=True)]
    assert found == [
        ("new york", 3), ("new york city", 3), ("york", 7), ("name 65536", 18), ("name 199999", 33),
    ]  # fmt: skip


def test_a_hash_collision_is_resolved_by_another_base() -> None:
    """With base 1 a hash is the sum of the characters, so that anagrams collide."""
    made = Matcher.build(["ab", "ba"], base=1)
    assert made.base > 1
    assert made.find("ba ab")[0].tolist() == [1, 0]
