"""To spaCy's own entity linking and back: a linker's names as a `KnowledgeBase`, and linked Docs as mentions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from kepipe.arrays import Floats32
from kepipe.data.document import Mention
from kepipe.linking.kb.knowledge import Knowledge

if TYPE_CHECKING:
    from spacy.kb import InMemoryLookupKB
    from spacy.tokens import Doc
    from spacy.vocab import Vocab

    from kepipe.linking.linker import Linker


WIDTH = 64
"""Of the vectors made here."""


def to_spacy_kb(linker: Linker, vocab: Vocab, vectors: Floats32 | None = None) -> InMemoryLookupKB:
    """A knowledge base for spaCy's `entity_linker`: entities, all names as the graph writes them, their priors.

    `vectors` [E, width] in the order of the graph, say the graph's embeddings; without them each entity gets the
    projection of its words (`profile_vectors`). An entity's frequency is its degree in the graph.
    """
    from spacy.kb import InMemoryLookupKB

    knowledge, lexicon = linker.knowledge, linker.gazetteer.lexicon
    vectors = profile_vectors(knowledge) if vectors is None else vectors
    if len(vectors) != len(knowledge.ids):
        raise ValueError(
            f"vectors: {len(vectors):,} rows for {len(knowledge.ids):,} entities; give one for each"
        )
    kb = InMemoryLookupKB(vocab, entity_vector_length=vectors.shape[1])
    kb.set_entities(list(knowledge.ids), linker.degrees.tolist(), vectors)
    ids, starts = knowledge.ids, lexicon.name_starts.tolist()
    for place, name in enumerate(lexicon.names):
        entries = slice(starts[place], min(starts[place + 1], starts[place] + linker.gazetteer.limit))
        # spaCy refuses priors whose sum is above one by the least rounding.
        priors = np.floor(lexicon.shares[entries] * 1e6) / 1e6
        kb.add_alias(name, [ids[row] for row in lexicon.rows[entries].tolist()], priors.tolist())
    return kb


def profile_vectors(knowledge: Knowledge, width: int = WIDTH) -> Floats32:
    """Each entity's words (`Knowledge.profiles`) projected at random onto `width` directions: [E, width].

    Distances between profiles are kept, roughly (Johnson and Lindenstrauss); the projection is always the same.
    """
    directions = np.random.default_rng(0).standard_normal((len(knowledge.words), width)).astype(np.float32)
    projected: Floats32 = knowledge.profiles @ (directions / np.sqrt(width))
    return projected


def mentions_of(doc: Doc, known: Sequence[str] | None = None) -> tuple[Mention, ...]:
    """What any spaCy pipeline linked: the entities of a Doc that have a `kb_id_`, other than NIL.

    `known`: the ids there are; a mention of another is left out.
    """
    ids = None if known is None else frozenset(known)
    return tuple(
        Mention(entity.start_char, entity.end_char, entity.kb_id_)
        for entity in doc.ents
        if entity.kb_id_ and entity.kb_id_ != "NIL" and (ids is None or entity.kb_id_ in ids)
    )
