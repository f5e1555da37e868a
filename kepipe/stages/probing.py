"""What the held-out documents are asked: from the artifacts of stages to probes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from kepipe.arrays import Ints
from kepipe.data.document import Document, Mention
from kepipe.stages.artifacts import Graph, Linked, Shards

if TYPE_CHECKING:
    import numpy as np

    from kepipe.data.shards import Shard
    from kepipe.models.config import TransformerConfig
    from kepipe.probes.base import EntityCloze, MaskedLoss, Perplexity, Probe
    from kepipe.stages.evaluate import EvaluateConfig
    from kepipe.tokenization.tokenizer import Tokenizer
    from kg.store import Graph as StoredGraph

ProbeName = Literal["mlm-loss", "entity-cloze", "perplexity"]
PROBES: tuple[ProbeName, ...] = ("mlm-loss", "entity-cloze", "perplexity")


def fits(probe: ProbeName, model: TransformerConfig) -> bool:
    """Whether a model can answer a probe: `perplexity` where it writes, the others where it fills masks."""
    return (model.stacks == "encoder") == (probe != "perplexity")


@dataclass(frozen=True)
class HeldOut:
    """The held-out documents, with their links and as tokens, and by which settings and seed they are asked."""

    linked: Linked
    graph: Graph
    shards: Shards
    config: EvaluateConfig
    tokenizer: Tokenizer
    seed: int

    @property
    def shard(self) -> Shard:
        """The documents as tokens. Raises ValueError where there are none."""
        from kepipe.data.shards import open_shard

        shard = open_shard(self.shards.folder / "held_out")
        if not len(shard):
            raise ValueError(
                "evaluate: no document is held out, so there is nothing to measure on; set `held_out` of the corpus "
                "higher, or add documents"
            )
        return shard

    @property
    def documents(self) -> Path:
        """All documents with their links."""
        return self.linked.folder / "documents.jsonl"

    def rng(self, draw: int) -> np.random.Generator:
        """The generator of a probe, so that each draws the same whatever others there are."""
        import numpy as np

        return np.random.default_rng([self.seed, draw])

    def counts(self) -> Ints:
        """How often each token stands in the training text: int [V]."""
        from kepipe.data.shards import open_shard

        return open_shard(self.shards.folder / "train").counts(self.tokenizer.vocab_size)


def make_probes(held_out: HeldOut, wanted: Sequence[ProbeName]) -> list[Probe]:
    """The probes named in `wanted`. Raises ValueError where nothing is held out."""
    probes: list[Probe] = []
    if "mlm-loss" in wanted:
        probes.append(_masked_loss(held_out))
    if "perplexity" in wanted:
        probes.append(_perplexity(held_out))
    if "entity-cloze" in wanted:
        probes.append(_entity_cloze(held_out))
    return probes


def _masked_loss(held_out: HeldOut) -> MaskedLoss:
    from kepipe.probes.base import MaskedLoss
    from kepipe.probes.masked_loss import draw_blanks
    from kg.vectors import read_ids

    config, entities = held_out.config, read_ids(held_out.shards.folder / "entities.txt")
    blanks = draw_blanks(
        held_out.shard, held_out.tokenizer, held_out.rng(1), config.context, config.loss_tokens, entities
    )
    return MaskedLoss(blanks, held_out.tokenizer, held_out.counts())


def _perplexity(held_out: HeldOut) -> Perplexity:
    from kepipe.data.document_files import read_documents
    from kepipe.probes.base import Perplexity
    from kepipe.probes.perplexity import draw_windows

    config, ids = held_out.config, set(held_out.shard.ids())
    unseen = (document for document in read_documents(held_out.documents) if document.id in ids)
    stretches = draw_windows(unseen, held_out.tokenizer, held_out.rng(3), config.context, config.loss_tokens)
    return Perplexity(stretches, held_out.tokenizer, held_out.counts())


def _entity_cloze(held_out: HeldOut) -> EntityCloze:
    from kepipe.data.document_files import read_documents
    from kepipe.probes.base import EntityCloze
    from kepipe.probes.cloze_test import ClozeMaker, Links
    from kg.store import open_graph

    config, ids = held_out.config, set(held_out.shard.ids())
    store = open_graph(held_out.graph.folder)
    links = Links.count((document, document.id in ids) for document in read_documents(held_out.documents))
    if config.mentions != "linked":
        links.held_out = _gold_in_graph(links.held_out, store, held_out.linked.folder / "linker")
    maker = ClozeMaker(
        store,
        held_out.tokenizer,
        max_cases=config.max_mentions,
        max_candidates=config.max_candidates,
        context_tokens=config.context,
        max_name_tokens=config.max_name_tokens,
        min_score=config.min_score,
        mentions=config.mentions,
    )
    return EntityCloze(maker.make(links, held_out.rng(2)), held_out.tokenizer)


def _gold_in_graph(documents: Sequence[Document], graph: StoredGraph, linker: Path) -> list[Document]:
    """The documents with their given links as entities of the graph: an anchor names a page, not an entity.

    The rules are those by which the linker is scored; links that mean nothing in the graph are left out.
    """
    from kepipe.linking.evaluation.gold import Titles
    from kepipe.linking.text.casing import Casing
    from kg.lexicon import Lexicon

    if not linker.exists() or not any(document.gold for document in documents):
        return list(documents)
    titles = Titles(graph, Lexicon.open(linker / "lexicon"), Casing.open(linker / "casing"))
    return [
        replace(
            document,
            gold=tuple(
                Mention(link.start, link.end, graph.ids[link.row])
                for link in titles.resolve(document.gold, document.text)
                if link.row >= 0
            ),
        )
        for document in documents
    ]
