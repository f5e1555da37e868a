"""The two files of a corpus: its documents, and their counts."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from kepipe.data.document import Document
from kepipe.data.document_files import held_out, to_line
from kg.problems import Problems

COUNTED = ("documents", "words", "characters", "gold", "held_out", "mentions")


def write_corpus(folder: Path, documents: Iterable[Document], share: float) -> dict[str, int]:
    """Write `documents.jsonl`, one document per line. Returns the counts, with keys `COUNTED`; `share`: the share of
    documents held out."""
    counts = dict.fromkeys(COUNTED, 0)
    with (folder / "documents.jsonl").open("w", encoding="utf-8", newline="\n") as stream:
        for document in documents:
            stream.write(to_line(document))
            counts["documents"] += 1
            counts["words"] += len(document.text.split())
            counts["characters"] += len(document.text)
            counts["gold"] += len(document.gold)
            counts["mentions"] += len(document.mentions)
            counts["held_out"] += held_out(document.id, share)
    return counts


def write_report(folder: Path, counts: dict[str, int], share: float, problems: Problems) -> None:
    """Write `corpus.json`, which tells later stages which documents are held out."""
    report = counts | {"held_out_share": share, "bad_lines": problems.to_json()}
    text = json.dumps(report, indent=1, ensure_ascii=False)
    (folder / "corpus.json").write_text(text, encoding="utf-8")
