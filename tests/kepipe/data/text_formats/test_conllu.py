"""Treebanks."""

from __future__ import annotations

from pathlib import Path

from tests.support.texts import write_and_read


def word(id: str, form: str, misc: str = "_") -> str:
    return "\t".join([id, form, *"_" * 7, misc]) + "\n"


def test_texts_have_sentence_spans(tmp_path: Path) -> None:
    text = (
        "# newdoc id = d1\n# text = Hi there.\n" + word("1", "Hi") + word("2", "there",
        "SpaceAfter=No") + word("3", ".") + "\n"
        + word("1-2", "vámonos", "SpaceAfter=No") + word("1", "vamos") + word("2", "nos") + word("2.1",
        "x") + word("3", "!")
        + "\n# newdoc\n# newpar\n" + word("1", "End") + "\nbad line\n\n" + word("x", "y") + "\n"
    )  # fmt: skip
    found = write_and_read(tmp_path, "t.conllu", text)
    assert [(document.id, document.text) for document in found.documents] == [
        ("d1", "Hi there. vámonos!"), ("t:2", "End"),
    ]  # fmt: skip
    first = found.documents[0]
    assert [first.text[span.start : span.end] for span in first.sentences] == ["Hi there.", "vámonos!"]
    assert [problem.split(": ")[0] for problem in found.problems] == ["t.conllu:17", "t.conllu:19"]
