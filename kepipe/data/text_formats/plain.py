"""Plain text (`.txt`): one document per file, or several separated by blank lines, or one per line.

The corpora of BERT and UER are single files with one sentence per line and blank lines between documents. This layout
is detected if most lines end like sentences and most blocks between blank lines have several lines.
"""

from __future__ import annotations

from collections.abc import Iterator

from kepipe.data.document import Document
from kepipe.data.text_formats.text_file import TextFile
from kg.problems import Problems

_FEWEST = 5
"""Minimum number of blocks in a file that is detected as a list of documents."""
_ENDS = tuple(".!?…。！？；;:：\"'”’」』)）")


def read_plain(file: TextFile, problems: Problems) -> Iterator[Document]:
    """The documents of a file. Ids are those of the file, with the number of the document if there are several."""
    text = file.read_all(problems)
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
                f"{file.name}: {len(stretches):,} documents, separated by blank lines (`documents: file` reads "
                f"it as one)"
            )
        case _:
            yield Document(id=file.id, text=text.strip(), title=file.stem)
            return
    for number, stretch in enumerate(stretches, start=1):
        yield Document(id=f"{file.id}:{number}", text=stretch.strip())


def _stretches(text: str) -> list[str]:
    """The blocks between blank lines."""
    stretches: list[list[str]] = [[]]
    for line in text.split("\n"):
        if line.strip():
            stretches[-1].append(line)
        elif stretches[-1]:
            stretches.append([])
    return ["\n".join(lines) for lines in stretches if lines]


def _is_list_of_documents(stretches: list[str]) -> bool:
    """Whether each line holds a sentence and blocks have several of them."""
    if len(stretches) < _FEWEST:
        return False
    lines = [line.strip() for stretch in stretches for line in stretch.split("\n")]
    several = sum("\n" in stretch for stretch in stretches)
    ended = sum(line.endswith(_ENDS) for line in lines)
    return several * 2 >= len(stretches) and ended * 10 >= len(lines) * 9
