import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc, Span

from kepipe.linking.linker import Linker
from kepipe.linking.spacy.component import KEY, KepipeLinker
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


def linked(nlp: Language, text: str = TEXT) -> list[tuple[str, str]]:
    return named(nlp(text))


def named(doc: Doc) -> list[tuple[str, str]]:
    return [(span.text, span.kb_id_) for span in doc.spans[KEY]]


def test_component_writes_spans_and_entity_ids(pipeline: Language) -> None:
    assert linked(pipeline) == EXPECTED
    assert [(entity.text, entity.label_, entity.kb_id_) for entity in pipeline(TEXT).ents] == [
        ("She", "PERSON", ""),
        ("Omaha", "GPE", "omaha"),
    ]


def test_disk_round_trip(pipeline: Language, tmp_path: Path) -> None:
    pipeline.to_disk(tmp_path / "pipeline")
    assert linked(spacy.load(tmp_path / "pipeline")) == EXPECTED


def test_saving_into_its_own_folder(pipeline: Language, tmp_path: Path) -> None:
    """Its files are memory-mapped: overwriting them would crash the process."""
    pipeline.to_disk(tmp_path / "pipeline")
    code = (
        "import sys, spacy; nlp = spacy.load(sys.argv[1]); nlp('Omaha'); nlp.to_disk(sys.argv[1]); "
        "print(len(nlp('Omaha').spans['kepipe']), len(spacy.load(sys.argv[1])('Omaha').spans['kepipe']))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "pipeline")]
    process = subprocess.run(command, capture_output=True, text=True, check=True)
    assert process.stdout.split() == ["1", "1"]
    assert sorted(path.name for path in (tmp_path / "pipeline").glob("kepipe_linker*")) == ["kepipe_linker"]


def test_saving_keeps_other_files_of_a_folder(pipeline: Language, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    component = pipeline.get_pipe("kepipe_linker")
    assert isinstance(component, KepipeLinker)
    component.to_disk(tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert (tmp_path / "linker.json").is_file()


@pytest.mark.parametrize("unpacked", [False, True])
def test_linker_component_is_pickled(pipeline: Language, unpacked: bool) -> None:
    """As spaCy does for other processes unless they are forked."""
    if unpacked:
        pipeline.from_bytes(pipeline.to_bytes())
    packed = pickle.dumps(pipeline)
    del pipeline
    assert linked(pickle.loads(packed)) == EXPECTED


def test_pipe_equals_linking_one_by_one(pipeline: Language) -> None:
    texts = [TEXT, "", "Omaha", " ", TEXT * 3] * 5
    together = [named(doc) for doc in pipeline.pipe(texts, batch_size=3)]
    assert together == [linked(pipeline, text) for text in texts]
    assert together[0] == EXPECTED


def test_an_entity_matches_without_its_article_and_others_keep_their_kb_id(folder: Path) -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("kepipe_linker", config={"path": str(folder)})
    doc = nlp.make_doc("The Nebraska of Atlantis")
    doc.ents = [Span(doc, 0, 2, label="GPE", span_id="mine"), Span(doc, 3, 4, label="GPE", kb_id="Q1")]
    doc.spans["other"] = [doc[0:1]]
    doc = nlp.get_pipe("kepipe_linker")(doc)  # type: ignore[operator]
    assert [(entity.text, entity.label_, entity.kb_id_, entity.ent_id_) for entity in doc.ents] == [
        ("The Nebraska", "GPE", "ne", "mine"),
        ("Atlantis", "GPE", "Q1", ""),
    ]
    assert [(span.text, span.label_) for span in doc.spans[KEY]] == [("Nebraska", "GPE")]
    assert list(doc.spans["other"]) == [doc[0:1]]


def test_bytes_round_trip(pipeline: Language, folder: Path) -> None:
    data = pipeline.get_pipe("kepipe_linker").to_bytes()  # type: ignore[attr-defined]
    other = spacy.blank("en")
    other.add_pipe("kepipe_linker").from_bytes(data)  # type: ignore[attr-defined]
    assert linked(other) == EXPECTED


def test_linking_without_a_linker_raises_with_a_hint(tmp_path: Path) -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("kepipe_linker")
    with pytest.raises(ValueError, match="set `path`"):
        nlp("Omaha")
    nlp.to_disk(tmp_path)
    with pytest.raises(ValueError, match="set `path`"):
        spacy.load(tmp_path)("Omaha")


def test_a_wrong_path_raises_at_once_unless_the_pipeline_was_saved_elsewhere(
    folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="kepipe_linker: no linker at nowhere; set `path`"):
        spacy.blank("en").add_pipe("kepipe_linker", config={"path": "nowhere"})
    shutil.copytree(folder, tmp_path / "linker")
    nlp = spacy.blank("en")
    nlp.add_pipe("kepipe_linker", config={"path": str(tmp_path / "linker")})
    nlp.to_disk(tmp_path / "pipeline")
    shutil.rmtree(tmp_path / "linker")
    with pytest.warns(UserWarning, match="no linker at"):
        moved = spacy.load(tmp_path / "pipeline")
    assert linked(moved) == linked(nlp)
    with pytest.raises(ValueError, match="other: no linker at nowhere"):
        moved.add_pipe("kepipe_linker", name="other", config={"path": "nowhere"})


def test_a_threshold_outside_0_to_1_raises(folder: Path) -> None:
    with pytest.raises(ValueError, match="threshold: 40 is not a probability"):
        spacy.blank("en").add_pipe("kepipe_linker", config={"path": str(folder), "threshold": 40.0})
