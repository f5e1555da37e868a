"""`unlinked`: the share of name-like spans that are not linked to an entity, which the graph may lack."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kepipe.data.document import Document
from kepipe.drift.base import Drift, Windows, compare_means

if TYPE_CHECKING:
    from kepipe.linking.text.casing import Casing


def compare(windows: Windows) -> Drift:
    """The value of a document is the share of its names."""
    from kepipe.linking.text.casing import Casing

    casing = Casing.open(windows.linker / "casing")
    before_N, new_M = (
        np.array([_share(document, casing) for document in documents], np.float64)
        for documents in (windows.reference, windows.new)
    )
    return compare_means(before_N, new_M, windows.rng(1))


def _share(document: Document, casing: Casing) -> float:
    """The share of a document's names that are unlinked; nan for a document without names."""
    from kepipe.linking.text.annotations import Annotations
    from kepipe.linking.text.namelike import namelike

    names = namelike(document.text, Annotations(document.sentences, document.phrases), casing)
    if not names:
        return float("nan")
    linked = [any(m.start < end and start < m.end for m in document.mentions) for start, end in names]
    return 1 - sum(linked) / len(linked)
