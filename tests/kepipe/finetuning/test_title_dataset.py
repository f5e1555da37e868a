"""Titles of documents as a data set: passages are consecutive, splits share no document, test is what is held out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kepipe.data.document import Document
from kepipe.data.document_files import held_out
from kepipe.finetuning.title_dataset import Lengths, make_titles, passages

DOCUMENTS = [
    Document(f"d{number}", f"Text {number} is about a thing. " * 8, f"Title {number}")
    for number in range(200)
]


@given(text=st.text(alphabet="ab 国\n", max_size=80), characters=st.integers(1, 30), most=st.integers(1, 5))
def test_passages_are_consecutive_short_and_nothing_between_them_is_lost(
    text: str, characters: int, most: int
) -> None:
    made = list(passages(text, characters, most))
    assert len(made) <= most
    assert all(0 < len(passage) <= characters for passage in made)
    whole = "".join(text.split())
    joined = "".join("".join(made).split())
    assert whole.startswith(joined)
    assert len(made) == most or joined == whole


def test_passages_end_between_words() -> None:
    assert list(passages(" Rome is the capital\nof Italy.", 12, 9)) == [
        "Rome is the",
        "capital\nof",
        "Italy.",
    ]
    assert list(passages("意大利的首都是罗马", 4, 2)) == ["意大利的", "首都是罗"]


def test_test_split_is_what_the_corpus_holds_out_and_no_document_is_in_two_splits() -> None:
    made = list(make_titles(DOCUMENTS, (0.3, 0.2), Lengths(60, 3)))
    names = {split: {one.title for one in made if one.split == split} for split in ("train", "dev", "test")}
    assert names["test"] == {one.title for one in DOCUMENTS if held_out(one.id, 0.3)}
    assert sum(map(len, names.values())) == len(set.union(*names.values())) == len(DOCUMENTS)
    assert 10 < len(names["dev"]) < 50
    texts = {split: sum(one.split == split for one in made) for split in names}
    assert texts == {"train": 3 * len(names["train"]), "dev": len(names["dev"]), "test": len(names["test"])}
    assert len({one.id for one in made}) == len(made)


def test_documents_without_title_and_further_sections_are_skipped() -> None:
    documents = [
        Document("a", "Some text.", ""),
        Document("b#1", "More text.", "Long"),
        Document("b#2", "Its end.", "Long"),
    ]
    assert [one.text for one in make_titles(documents, (0.5, 0.1), Lengths())] == ["More text."]
