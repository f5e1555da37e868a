"""The texts that a tokenizer is trained on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kepipe.data.document_files import held_out, read_documents


@dataclass(frozen=True)
class TrainingTexts:
    """The texts of a file's training documents, read anew at each iteration; `tick` is called for each.

    `held_out_share`: of the documents, not for training.
    """

    file: Path
    held_out_share: float
    tick: Callable[[int], None]

    def __iter__(self) -> Iterator[str]:
        for document in read_documents(self.file):
            if not held_out(document.id, self.held_out_share):
                self.tick(1)
                yield document.text
