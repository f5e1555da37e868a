"""Plain text (`.txt`): one document a file, or several with blank lines between, or one a line.

BERT's and UER's corpora are one file with a sentence a line and a blank line between documents. That is what a file
is taken for by itself, where most lines end as sentences do, and most stretches between blank lines have several.
"""

from __future__ import annotations

from collections.abc import Iterator

from kepipe.data.document import Document
from kepipe.data.text_formats.text_file import TextFile
from kg.problems import Problems

_FEWEST = 5
"""Stretches of a file that is taken for several documents."""
_ENDS = tuple(".!?…。！？；;:：\"'”’」』)）")


def read_plain(file: TextFile, problems: Problems) -> Iterator[Document]:
    """The documents of a file; ids are the file's, with the number of the document where there are several."""
    text = file.whole(problems)
    if text is None:
        return
    if not text.strip():
        file.problem(problems, 0, "the file is empty")
        return
    match file.documents:
        case "line":
            stretches = [line for line in text.split("\n") if line.strip()]
        case "blank-line":
            stretches = _stretches(text)
        case "auto" if _is_list_of_documents(stretches := _stretches(text)):
            file.note(
                f"{file.name}: {len(stretches):,} documents, with blank lines between (`documents: file` takes "
                f"it for one)"
            )
        case _:
            yield Document(id=file.id, text=text.strip(), title=file.stem)
            return
    for number, stretch in enumerate(stretches, start=1):
        yield Document(id=f"{file.id}:{number}", text=stretch.strip())


def _stretches(text: str) -> list[str]:
    """What stands between blank lines."""
    stretches: list[list[str]] = [[]]
    for line in text.split("\n"):
        if line.strip():
            stretches[-1].append(line)
        elif stretches[-1]:
            stretches.append([])
    return ["\n".join(lines) for lines in stretches if lines]


def _is_list_of_documents(stretches: list[str]) -> bool:
    """Whether a sentence stands on each line, and stretches have several of them."""
    if len(stretches) < _FEWEST:
        return False
    lines = [line.strip() for stretch in stretches for line in stretch.split("\n")]
    several = sum("\n" in stretch for stretch in stretches)
    ended = sum(line.endswith(_ENDS) for line in lines)
    return several * 2 >= len(stretches) and ended * 10 >= len(lines) * 9
