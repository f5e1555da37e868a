"""Conversion to and from spaCy's own entity linking: a linker's names as a `KnowledgeBase`, linked Docs as mentions."""

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
"""Dimension of the vectors of `profile_vectors`."""


def to_spacy_kb(linker: Linker, vocab: Vocab, vectors: Floats32 | None = None) -> InMemoryLookupKB:
    """A knowledge base for spaCy's `entity_linker`: entities, all names in their original spelling, and priors.

    `vectors` [E, width] in the order of the graph, for example its embeddings; None: `profile_vectors`. An entity's
    frequency is its degree in the graph. Raises ValueError if there is not one vector per entity.
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
        # spaCy rejects priors whose sum exceeds 1 by a rounding error.
        priors = np.floor(lexicon.shares[entries] * 1e6) / 1e6
        kb.add_alias(name, [ids[row] for row in lexicon.rows[entries].tolist()], priors.tolist())
    return kb


def profile_vectors(knowledge: Knowledge, width: int = WIDTH) -> Floats32:
    """A random projection of each entity's word profile (`Knowledge.profiles`) to `width` dimensions: [E, width].

    Approximately preserves distances (Johnson and Lindenstrauss); the seed is fixed.
    """
    directions = np.random.default_rng(0).standard_normal((len(knowledge.words), width)).astype(np.float32)
    projected: Floats32 = knowledge.profiles @ (directions / np.sqrt(width))
    return projected


def mentions_of(doc: Doc, known: Sequence[str] | None = None) -> tuple[Mention, ...]:
    """The links of any spaCy pipeline: the entities of a Doc whose `kb_id_` is set and not NIL.

    `known`: the ids of the graph; mentions of other ids are left out.
    """
    ids = None if known is None else frozenset(known)
    return tuple(
        Mention(entity.start_char, entity.end_char, entity.kb_id_)
        for entity in doc.ents
        if entity.kb_id_ and entity.kb_id_ != "NIL" and (ids is None or entity.kb_id_ in ids)
    )
