from pathlib import Path

import pytest

from kepipe.linking.candidates.gazetteer import Gazetteer
from kg.lexicon import Lexicon
from kg.schema import Entity
from kg.store import Graph
from kg.writer import write_graph


@pytest.fixture(scope="module")
def gazetteer(graph: Graph) -> Gazetteer:
    return Gazetteer(Lexicon.build(graph))


def spans(gazetteer: Gazetteer, text: str) -> list[str]:
    found = gazetteer.find(text)
    return [text[start:end] for start, end in zip(found.starts, found.ends, strict=True)]


def test_overlapping_names_are_all_found(gazetteer: Gazetteer) -> None:
    assert spans(gazetteer, "New York City") == ["New York", "New York City", "York"]


def test_a_shorter_name_is_found_when_the_longer_one_would_end_inside_a_word(gazetteer: Gazetteer) -> None:
    assert spans(gazetteer, "in New York Cityscape magazine") == ["New York", "York"]


def test_boundaries_and_case(gazetteer: Gazetteer) -> None:
    assert spans(gazetteer, "Yorkshire, reading us, in Reading. US") == ["Reading", "US"]
    assert spans(gazetteer, "York's and (Leeds)") == ["York", "Leeds"]


def test_scripts_without_spaces_have_boundaries_everywhere(gazetteer: Gazetteer) -> None:
    assert spans(gazetteer, "私は東京に住む") == ["東京"]


def test_offsets_refer_to_the_raw_text_when_normalisation_changes_it(gazetteer: Gazetteer) -> None:
    assert spans(gazetteer, "ﬁrst New\u00a0York and Ｌｅｅｄｓ") == ["New\u00a0York", "York", "Ｌｅｅｄｓ"]


def test_trailing_invisible_characters_are_not_part_of_a_name(gazetteer: Gazetteer) -> None:
    assert spans(gazetteer, "\ufeffOma\u200bha\u200b\ufeff, Leeds\u00ad") == ["Oma\u200bha", "Leeds"]


def test_candidates_of_a_match_come_likeliest_first(gazetteer: Gazetteer, graph: Graph) -> None:
    found = gazetteer.find("Lincoln")
    assert [graph.ids[row] for row in found.rows.tolist()] == ["lincoln-ne", "lincoln-uk"]
    assert found.priors.sum() == pytest.approx(1.0)


def test_a_text_without_names(gazetteer: Gazetteer) -> None:
    for text in ("", "nothing here"):
        found = gazetteer.find(text)
        assert len(found) == 0
        assert len(found.rows) == 0


def test_chinese_names_are_found_in_either_script(tmp_path: Path) -> None:
    entities = [Entity("tw", "台湾", (), "", (), 0.0), Entity("nx", "電腦", (), "", (), 0.0)]
    graph = write_graph(tmp_path / "graph", entities, [], {"train": []})
    gazetteer = Gazetteer(Lexicon.build(graph))
    for text in ("臺灣的電腦", "台湾的电脑"):
        found = gazetteer.find(text)
        assert [(found.starts[owner], row) for owner, row in zip(found.owners, found.rows, strict=True)] == [
            (0, 0),
            (3, 1),
        ]


def test_names_that_differ_in_case_share_their_candidates(tmp_path: Path) -> None:
    entities = [Entity("un", "UNESCO", (), "", (), 3.0), Entity("band", "Unesco", (), "", (), 0.0)]
    graph = write_graph(tmp_path / "graph", entities, [], {"train": []})
    found = Gazetteer(Lexicon.build(graph)).find("the UNESCO and Unesco")
    rows = [found.rows[found.owners == match].tolist() for match in range(len(found))]
    assert rows == [[0, 1], [0, 1]]
    labels = [found.labels[found.owners == match].tolist() for match in range(len(found))]
    assert labels == [[True, False], [False, True]]
