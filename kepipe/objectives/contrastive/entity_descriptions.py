"""`entity-descriptions`: match a mention's vector in its sentence with the vector of its entity's description (Wu et
al. 2020, "Scalable Zero-shot Entity Linking", §4.1, with one encoder for both)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from kepipe.objectives.contrastive.settings import OfFile, paired, text_rows

if TYPE_CHECKING:
    from kepipe.data.paired_rows import PairedBatches
    from kepipe.objectives.ernie2.labelled import Text


class EntityDescriptions(OfFile):
    """Match mentions of the linked text with entity descriptions. The file is a graph's `entities.jsonl`, with `id`,
    `label` and `description`."""

    name: Literal["entity-descriptions"] = "entity-descriptions"


def rows(section: EntityDescriptions, text: Text) -> PairedBatches:
    """Mentions in their sentences, paired with descriptions. Raises ValueError if no mention has a description."""
    import numpy as np

    from kepipe.data.document import Document
    from kepipe.data.line_readers import json_lines
    from kepipe.data.paired_rows import Member, described_mentions, plan_sentences
    from kg.problems import Problems

    known = {id: number for number, id in enumerate(text.entity_ids)}
    documents: list[Document] = []
    described: dict[int, int] = {}
    for _, record in json_lines(section.file, Problems(strict=True)):
        id, description = str(record.get("id")), record.get("description")
        if id in known and isinstance(description, str) and description.strip():
            described[known[id]] = len(documents)
            documents.append(Document(id, f"{record.get('label') or id}: {description}"))
    sentences = plan_sentences(text.shard, text.shape.length)
    spans_M2, numbers_M = described_mentions(text.shard, described)
    rows_M = np.searchsorted(sentences.starts, spans_M2[:, 0], side="right") - 1
    whole_M = spans_M2[:, 1] <= sentences.stops[rows_M]
    if not whole_M.any():
        raise ValueError(
            f"{section.file}: no entity that the text names has a `description` here: are these the entities of the "
            "graph that the text was linked to?"
        )
    shard, examples = text_rows(section.file, documents, text.tokenizer, text.shape.length)
    mentions = Member(text.shard, sentences, rows_M[whole_M], spans_M2[whole_M])
    return paired(text, [mentions, Member(shard, examples, numbers_M[whole_M])])
