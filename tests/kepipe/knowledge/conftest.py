from pathlib import Path

import pytest

from kepipe.tokenization.tokenizer import Tokenizer, load_tokenizer
from kg.schema import Entity, Relation, Triple
from kg.store import Graph
from kg.writer import write_graph

ENTITIES = [
    Entity("cook", "Tim Cook", ("Cook",)),
    Entity("apple", "Apple", ()),
    Entity("beijing", "Beijing", ("Peking",)),
    Entity("china", "China", ()),
    Entity("city", "city", ()),
    Entity("person", "person", ()),
    Entity("asia", "Asia", ()),
    Entity("great wall", "Great Wall of China", ()),
]
TRIPLES = [
    Triple("cook", "is", "person"), Triple("cook", "leads", "apple"),
    Triple("beijing", "is", "city"), Triple("beijing", "in", "china"), Triple("beijing", "in", "asia"),
    Triple("china", "in", "asia"), Triple("great wall", "in", "china"), Triple("apple", "is", "person"),
]  # fmt: skip
HELD_OUT = [Triple("beijing", "is", "person")]
RELATIONS = [Relation("is", "is a"), Relation("in", "lies in"), Relation("leads", "leads")]
NAMES = "tim cook apple beijing china city person asia great wall of is a lies in leads visits the . un ##know ##n"


@pytest.fixture(scope="session")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    triples = {"train": TRIPLES, "test": HELD_OUT}
    return write_graph(tmp_path_factory.mktemp("graph"), ENTITIES, RELATIONS, triples)


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    file: Path = tmp_path_factory.mktemp("tokenizer") / "vocab.txt"
    file.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *NAMES.split()]))
    return load_tokenizer(file)
