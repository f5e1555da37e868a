"""A small world: places with types and facts, documents about them, shards and two tiny models."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from kepipe.data.alignment import tokenise
from kepipe.data.document import Document, Mention, Span
from kepipe.data.document_files import write_documents
from kepipe.data.shards import ShardWriter
from kepipe.flow.artifact import seal
from kepipe.models.base import Base, build
from kepipe.models.folder import save
from kepipe.models.transformer import Transformer
from kepipe.stages.artifacts import Graph, Linked, Model, Shards
from kepipe.tokenization.tokenizer import Tokenizer
from kepipe.tokenization.training import train_tokenizer
from kg.schema import Entity, Relation, Triple
from kg.writer import write_graph

CAPITALS = {
    "France": "Paris", "Spain": "Madrid", "Norway": "Oslo", "Kenya": "Nairobi", "Peru": "Lima", "Japan": "Tokyo",
    "Cuba": "Havana", "Egypt": "Cairo", "Chile": "Santiago", "Ghana": "Accra", "Sri Lanka": "Colombo",
    "Argentina": "Buenos Aires",
}  # fmt: skip
SENTENCES = (
    "The capital of {country} is {city} and many people live there.",
    "Travellers reach {city} by train from the north of {country}.",
    "In {country} the old river flows past {city} to the sea.",
)


@dataclass(frozen=True)
class World:
    """The artifacts of the pipeline's first stages, and two arms."""

    graph: Graph
    linked: Linked
    shards: Shards
    arms: tuple[Model, Model]
    tokenizer: Tokenizer
    documents: list[Document]
    held_out: list[Document]


def entity_id(name: str) -> str:
    return f"id:{name.replace(' ', '_')}"


def make_documents(count: int = 24, gold: bool = False) -> list[Document]:
    """Documents about countries and capitals, drawn by a fixed seed; every name is a mention."""
    rng = np.random.default_rng(4)
    documents = []
    for number in range(count):
        text, sentences, mentions = "", [], []
        for country in rng.permutation(list(CAPITALS))[:5]:
            names = {"country": country, "city": CAPITALS[country]}
            sentence = str(rng.choice(SENTENCES)).format(**names)
            start = len(text)
            for name in names.values():
                begin = start + sentence.index(name)
                mentions.append(Mention(begin, begin + len(name), entity_id(name), 0.95))
            text += sentence + " "
            sentences.append(Span(start, start + len(sentence)))
        phrases = tuple(
            Span(s.start, s.start + len("The capital")) for s in sentences if text[s.start] == "T"
        )
        mentions.sort(key=lambda mention: mention.start)
        gold_mentions = tuple(mentions) if gold else ()
        documents.append(
            Document(
                f"d{number}", text, f"Doc {number}", tuple(sentences), phrases, tuple(mentions), gold_mentions
            )
        )
    return documents


def with_large_weights(model: Transformer) -> Transformer:
    """The model with weights so large that each token affects the outputs at the others."""
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                weight *= 6
    return model


def make_graph(folder: Path) -> None:
    entities = [Entity(entity_id(name), name, types=("country",)) for name in CAPITALS]
    entities += [Entity(entity_id(name), name, types=("city",)) for name in CAPITALS.values()]
    entities += [Entity("id:other-lima", "Lima", types=("city",)), Entity("id:untyped", "Nothing")]
    absent = [
        f"{first} {second}"
        for first in ("Old", "North", "River")
        for second in ("people", "train", "sea", "live")
    ]
    entities += [
        Entity(entity_id(name), name, types=("city",)) for name in absent
    ]  # entities that never occur in the corpus
    facts = [Triple(entity_id(city), "capital", entity_id(country)) for country, city in CAPITALS.items()]
    write_graph(folder, entities, [Relation("capital", "capital of")], {"train": facts})


def make_world(folder: Path, arms: tuple[str, str] = ("pretrain", "control")) -> World:
    """All artifacts in folders under `folder`, sealed as by the runner."""
    documents = make_documents()
    held_out = documents[:10]
    make_graph(folder / "graph")
    (folder / "link").mkdir()
    write_documents(folder / "link" / "documents.jsonl", documents)
    tokenizer = train_tokenizer([d.text for d in documents], "wordpiece", 500, True)
    tokenizer.save(folder / "shards" / "tokenizer")
    rows: dict[str, int] = {}
    for split, part in (("held_out", held_out), ("train", documents[10:])):
        with ShardWriter(folder / "shards" / split, tokenizer.vocab_size) as writer:
            writer.append(
                tokenise(part, tokenizer, lambda e: rows.setdefault(e, len(rows))), (d.id for d in part)
            )
            writer.finish()
    (folder / "shards" / "entities.txt").write_text("".join(f"{entity}\n" for entity in rows))
    base = Base(family="bert", layers=2, hidden=32, heads=2)
    for seed, arm in enumerate(arms):
        model = build(base, tokenizer.vocab_size, seed)
        save(folder / arm, model, tokenizer=folder / "shards" / "tokenizer", provenance={"seed": seed})
    for name in ("graph", "link", "shards", *arms):
        seal(folder / name, {}, "test-run")
    return World(
        Graph.open(folder / "graph", "graph"),
        Linked.open(folder / "link", "link"),
        Shards.open(folder / "shards", "shards"),
        (Model.open(folder / arms[0], arms[0]), Model.open(folder / arms[1], arms[1])),
        tokenizer,
        documents,
        held_out,
    )


def in_other_tokens(world: World, folder: Path) -> Path:
    """A newly initialised model whose tokenizer was trained on half of the documents: a smaller vocabulary, other
    tokens."""
    texts = [document.text for document in world.documents[::2]]
    tokenizer = train_tokenizer(texts, "wordpiece", 200, True)
    tokenizer.save(folder.with_name(f"{folder.name}-tokenizer"))
    model = build(Base(family="bert", layers=2, hidden=32, heads=2), tokenizer.vocab_size, 3)
    save(folder, model, tokenizer=folder.with_name(f"{folder.name}-tokenizer"), provenance={"seed": 3})
    return folder
