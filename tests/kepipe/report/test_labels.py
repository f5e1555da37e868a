"""Labels in lines of a width in letters, of which a Chinese character takes two."""

import pytest

from kepipe.report.labels import folded, shortened, width_of


@pytest.mark.parametrize(("text", "width"), [("", 0), ("loss", 4), ("损失", 4), ("损失 loss", 9), ("，", 2)])
def test_chinese_characters_are_two_letters_wide(text, width):
    assert width_of(text) == width


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("entity cloze", ["entity", "cloze"]),
        ("entity-cloze", ["entity-", "cloze"]),
        ("entities of", ["entities", "of"]),
        ("knowledgeable", ["knowledg", "eable"]),
        ("a knowledgeable", ["a knowle", "dgeable"]),
        ("知识图谱链接", ["知识图谱", "链接"]),
        ("the 知识图谱", ["the 知识", "图谱"]),
        ("some\nlines", ["some", "lines"]),
        (" as is ", [" as is "]),
    ],
)
def test_a_text_is_broken_at_blanks_hyphens_and_chinese_characters(text, lines):
    assert folded(text, 8) == lines


def test_the_middle_of_a_long_text_is_left_out():
    assert shortened("abcdefghijkl", 12, 1) == ["abcdefghijkl"]
    assert shortened("abcdefghijklm", 12, 1) == ["abcdefgh…klm"]
    assert shortened("知识图谱实体链接", 12, 1) == ["知识图谱…接"]
