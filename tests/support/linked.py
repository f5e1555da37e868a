"""A tiny graph with ambiguous names, and sentences whose words tell which entity is meant."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from kg.schema import Entity, Relation, Triple
from kg.writer import write_graph

ENTITIES = [
    Entity("planet", "Mercury", description="planet near the sun", types=("planet",), prior=2),
    Entity("metal", "Mercury", ("quicksilver",), description="liquid metal", types=("element",), prior=1),
    Entity("titan", "Titan", description="moon of Saturn", types=("moon",), prior=1),
    Entity("saturn", "Saturn", description="planet with rings", types=("planet",), prior=2),
    Entity("galileo", "Galileo Galilei", description="astronomer", types=("person",), prior=1),
    Entity("pisa", "Pisa", description="city in Italy", types=("city",), prior=1),
]
TRIPLES = [Triple("titan", "near", "saturn"), Triple("galileo", "near", "pisa")]
SAID = [
    ("Mercury", "planet", "we saw {} turn around the sun"),
    ("Mercury", "metal", "a drop of {} is a liquid and heavy"),
    ("Titan", "titan", "the old moon {} has rain again"),
    ("Titan", "boat", "the long boat {} sank that day"),
    ("Galileo Galilei", "galileo", "and then {} saw them all"),
    ("Pisa", "pisa", "it was a day in {} with rain"),
]
"""Name, entity, and the words around it. The graph has no `boat`."""
FILLER = ["indeed", "again", "they say", "of old"]


def graph(folder: Path) -> Path:
    """The stored graph."""
    write_graph(folder, ENTITIES, [Relation("near", "near")], {"train": TRIPLES})
    return folder


def document(rng: np.random.Generator, number: int, sentences: int = 1) -> dict[str, Any]:
    """A document of some sentences, with its mentions as `kepipe link` writes them."""
    text, mentions = "", []
    for _ in range(sentences):
        name, entity, words = SAID[rng.integers(len(SAID))]
        before, _, after = words.partition("{}")
        start = len(text) + len(before)
        mentions.append({"start": start, "end": start + len(name), "entity": entity, "score": 0.9})
        text += f"{before}{name}{after} {FILLER[rng.integers(len(FILLER))]} . "
    return {"id": f"d{number}", "text": text.rstrip(), "mentions": mentions}


def write_documents(file: Path, count: int, seed: int, sentences: int = 1) -> Path:
    """A file of documents."""
    rng = np.random.default_rng(seed)
    lines = (json.dumps(document(rng, number, sentences)) for number in range(count))
    file.write_text("".join(line + "\n" for line in lines))
    return file


def words() -> str:
    """All words of the documents."""
    return " ".join([words.format(name) for name, _, words in SAID] + FILLER + ["."])
