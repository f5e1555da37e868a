"""CoNLL columns in common variants."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kepipe.finetuning import tagging
from kg.problems import Problems


def read(folder: Path, text: str) -> tuple[list[tuple[list[str], tuple[str, ...]]], list[str]]:
    """Words and labels of each sentence, and the reported problems."""
    file, problems = folder / "t.conll", Problems()
    file.write_text(text, encoding="utf-8")
    found = [
        ([e.text[s.start : s.end] for s in e.spans], tuple(e.labels)) for e in tagging.read(file, problems)
    ]
    return found, [str(problem) for problem in problems.first]


@pytest.mark.parametrize(
    ("text", "words", "labels"),
    [
        ("0\tAnna\tB-PER\n1\tslept\tO\n", ["Anna", "slept"], ("B-PER", "O")),
        ("# x\thttp://a.org\t[2020]\n1\tIn\tO\tO\n2\tOslo\tB-LOC\tO\n", ["In", "Oslo"], ("O", "B-LOC")),
        ("in\tO\nNew York\tB-LOC\n", ["in", "New York"], ("O", "B-LOC")),
        ("paid\tO\n10\u00a0000\tB-NUM\n", ["paid", "10\u00a0000"], ("O", "B-NUM")),
        ("Anna U-PER\nin O\nNew B-LOC\nYork I-LOC\nCity L-LOC\n", ["Anna", "in", "New", "York", "City"],
         ("S-PER", "O", "B-LOC", "I-LOC", "E-LOC")),
        ("liver\tB\ndisease\tI\nis\tO\n", ["liver", "disease", "is"], ("B-ENT", "I-ENT", "O")),
        ("# id 1 domain=en\nAnna _ _ B-PER\nslept _ _ O\n", ["Anna", "slept"], ("B-PER", "O")),
        ("Anna B-PER NNP\nslept O VBD\n", ["Anna", "slept"], ("B-PER", "O")),
        ("Anna B_PER\nLind I_PER\n", ["Anna", "Lind"], ("B-PER", "I-PER")),
        ("Anna PER-B\nLind PER-I\n", ["Anna", "Lind"], ("B-PER", "I-PER")),
        ("EU NNP B-NP B-ORG\nis VBZ B-VP O\n", ["EU", "is"], ("B-ORG", "O")),
    ],
)  # fmt: skip
def test_conll_words_and_labels_are_read(
    tmp_path: Path, text: str, words: list[str], labels: tuple[str, ...]
) -> None:
    assert read(tmp_path, text) == ([(words, labels)], [])


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        (
            "Anna B-PER\nslept O\n",
            ["taken: columns: 2 (words in the column 1 of t.conll 1, labels in the column 2 of t.conll 1)"],
        ),
        (
            "1\tIn\tO\tO\n2\tOslo\tB-LOC\tO\n",
            [
                "taken: columns: 2 (words in the column 2 of t.conll 1, labels in the column 3 of t.conll 1)",
                "left out: columns: 2 (t.conll 2)",
            ],
        ),
        (
            '{"tokens": ["Anna"], "ner_tags": ["B-PER"], "source": "web"}\n',
            ["taken: keys and columns: 2 (tokens 1, ner_tags 1)", "left out: keys and columns: 1 (source 1)"],
        ),
        (
            "text_a\tlabel\tid\nAnna\tB-PER\t7\n",
            ["taken: keys and columns: 2 (text_a 1, label 1)", "left out: keys and columns: 1 (id 1)"],
        ),
    ],
)
def test_conll_columns_and_keys_used_are_reported(tmp_path: Path, text: str, messages: list[str]) -> None:
    problems = Problems()
    (tmp_path / "t.conll").write_text(text)
    assert len([*tagging.read(tmp_path / "t.conll", problems)]) == 1
    assert [*problems.account.lines()] == messages


def test_conll_column_of_numbers_is_rejected_as_words(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"t\.conll: the column that would hold the words holds numbers alone \(0, 1, …\)"
    ):
        read(tmp_path, "0\tB-PER\n1\tO\n")


def test_conll_sentence_with_a_bad_line_is_skipped(tmp_path: Path) -> None:
    found, problems = read(tmp_path, "a O\nb X-Y\n\nc O\n\nd\n\n \tO\n")
    assert [words for words, _ in found] == [["c"]]
    assert [problem.split(": ")[0] for problem in problems] == [f"t.conll:{line}" for line in (2, 6, 8)]


words = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=6).filter(
    lambda word: not word.startswith(("#", "-DOCSTART-")) and not word.isdecimal() and word != "text_a"
)


@example([("{", "O")])
@example([('{"', "O")])
@given(st.lists(st.tuples(words, st.sampled_from(["O", "B-X", "I-X"])), min_size=1, max_size=8))
@settings(max_examples=60)
def test_conll_round_trips(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]) -> None:
    text = "".join(f"{word}\t{label}\n" for word, label in rows)
    assert read(tmp_path_factory.mktemp("c"), text) == (
        [([w for w, _ in rows], tuple(y for _, y in rows))],
        [],
    )
