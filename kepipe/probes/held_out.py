"""The held-out documents for probes: their links, their tokens, and counts over the training documents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from kepipe.arrays import Ints
from kepipe.data.document import Document, Mention
from kepipe.linking import LINKER

if TYPE_CHECKING:
    import numpy as np

    from kepipe.data.shards import Shard
    from kepipe.probes.settings import ProbeSettings
    from kepipe.tokenization.tokenizer import Tokenizer
    from kg.store import Graph


@dataclass
class Links:
    """How often training documents link each entity, which entities occur in any document, and the held-out
    documents."""

    training: Counter[str] = field(default_factory=Counter)
    anywhere: set[str] = field(default_factory=set)
    held_out: list[Document] = field(default_factory=list)

    @classmethod
    def count(cls, documents: Iterable[tuple[Document, bool]]) -> Links:
        """Counts from documents, each with a flag whether it is held out."""
        links = cls()
        for document, held_out in documents:
            named = [mention.entity for mention in document.mentions]
            links.anywhere.update(named)
            if held_out:
                links.held_out.append(document)
            else:
                links.training.update(named)
        return links


@dataclass(frozen=True)
class HeldOutDocuments:
    """The sources of probes: the folders of linked documents, graph and shards, the settings, the tokenizer, and the
    seed. `vectors`: the folder of the graph's vectors, if any."""

    linked: Path
    graph_folder: Path
    shards: Path
    settings: ProbeSettings
    tokenizer: Tokenizer
    seed: int
    vectors: Path | None = None

    @cached_property
    def shard(self) -> Shard:
        """The documents as tokens. Raises ValueError if there are none."""
        from kepipe.data.shards import open_shard

        shard = open_shard(self.shards / "held_out")
        if not len(shard):
            raise ValueError(
                "evaluate: no document is held out, so there is nothing to measure on; set `held_out` of the corpus "
                "higher, or add documents"
            )
        return shard

    @cached_property
    def links(self) -> Links:
        """The links of the documents; the file is read once, whatever the number of probes."""
        from kepipe.data.document_files import read_documents

        ids = set(self.shard.ids())
        documents = read_documents(self.linked / "documents.jsonl")
        return Links.count((document, document.id in ids) for document in documents)

    @property
    def documents(self) -> list[Document]:
        """The held-out documents, in the order of the file."""
        return self.links.held_out

    @cached_property
    def graph(self) -> Graph:
        """The graph of the linked entities."""
        from kg.store import open_graph

        return open_graph(self.graph_folder)

    @cached_property
    def entities(self) -> Sequence[str]:
        """The ids of the entities that the shards number."""
        from kg.vectors import read_ids

        return tuple(read_ids(self.shards / "entities.txt"))

    def rng(self, draw: int) -> np.random.Generator:
        """The random generator of a probe. Each probe has its own `draw`, so that its cases do not depend on which
        other probes are used."""
        import numpy as np

        return np.random.default_rng([self.seed, draw])

    def training_counts(self) -> Ints:
        """The number of occurrences of each token in the training text: int [V]."""
        from kepipe.data.shards import open_shard

        return open_shard(self.shards / "train").counts(self.tokenizer.vocab_size)

    def with_given_links(self) -> list[Document]:
        """The documents with their gold links resolved to entities of the graph: an anchor gives a page, not an entity.

        Links are resolved as in the scoring of the linker; those without an entity in the graph are dropped.
        """
        from kepipe.linking.evaluation.gold import Titles
        from kepipe.linking.text.casing import Casing
        from kg.lexicon import Lexicon

        linker = self.linked / LINKER
        if not linker.exists() or not any(document.gold for document in self.documents):
            return self.documents
        titles = Titles(self.graph, Lexicon.open(linker / "lexicon"), Casing.open(linker / "casing"))
        return [
            replace(
                document,
                gold=tuple(
                    Mention(link.start, link.end, self.graph.ids[link.row])
                    for link in titles.resolve(document.gold, document.text)
                    if link.row >= 0
                ),
            )
            for document in self.documents
        ]
