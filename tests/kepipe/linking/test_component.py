from pathlib import Path

import pytest
import spacy
from spacy.language import Language

from kepipe.linking.component import KEY
from kepipe.linking.linker import Linker
from kg.store import Graph

TEXT = "She moved from Omaha to Lincoln, Nebraska."
EXPECTED = [("Omaha", "omaha"), ("Lincoln", "lincoln-ne"), ("Nebraska", "ne")]


@pytest.fixture(scope="module")
def folder(graph: Graph, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("linker")
    Linker.build(graph).save(folder)
    return folder


@pytest.fixture
def pipeline(folder: Path) -> Language:
    nlp = spacy.blank("en")
    ruler = nlp.add_pipe("entity_ruler")
    ruler.add_patterns([{"label": "GPE", "pattern": "Omaha"}, {"label": "PERSON", "pattern": "She"}])  # type: ignore[attr-defined]
    nlp.add_pipe("kepipe_linker", config={"path": str(folder)})
    return nlp


def linked(nlp: Language) -> list[tuple[str, str]]:
    doc = nlp(TEXT)
    return [(span.text, span.kb_id_) for span in doc.spans[KEY]]


def test_writes_spans_and_the_ids_of_entities(pipeline: Language) -> None:
    assert linked(pipeline) == EXPECTED
    assert [(entity.text, entity.label_, entity.kb_id_) for entity in pipeline(TEXT).ents] == [
        ("She", "PERSON", ""),
        ("Omaha", "GPE", "omaha"),
    ]


def test_goes_to_disk_and_back(pipeline: Language, tmp_path: Path) -> None:
    pipeline.to_disk(tmp_path / "pipeline")
    assert linked(spacy.load(tmp_path / "pipeline")) == EXPECTED


def test_goes_to_bytes_and_back(pipeline: Language, folder: Path) -> None:
    data = pipeline.get_pipe("kepipe_linker").to_bytes()  # type: ignore[attr-defined]
    other = spacy.blank("en")
    other.add_pipe("kepipe_linker").from_bytes(data)  # type: ignore[attr-defined]
    assert linked(other) == EXPECTED


def test_without_a_linker_it_says_what_to_give() -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("kepipe_linker")
    with pytest.raises(ValueError, match="give `path`"):
        nlp("Omaha")
