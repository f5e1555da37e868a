"""Facts as sentences."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kg.schema import Relation
from kg.store import Graph
from kg.templates import Template, from_label, read_pararel, read_templates, templates_of
from kg.writer import GraphWriter


@pytest.mark.parametrize(
    ("label", "text"),
    [
        ("capital", "The capital of [X] is [Y]."),
        ("educated at", "[X] is educated at [Y]."),
        ("composed of", "[X] is composed of [Y]."),
        ("member of", "[X] is a member of [Y]."),
        ("instance of", "[X] is an instance of [Y]."),
        ("part of", "[X] is part of [Y]."),
        ("adjacent to", "[X] is adjacent to [Y]."),
        ("shares border with", "[X] shares border with [Y]."),
        ("consists of", "[X] consists of [Y]."),
        ("has part", "[X] has part [Y]."),
        ("uses the currency", "[X] uses the currency [Y]."),
        ("sports team", "The sports team of [X] is [Y]."),
        ("in the state of", "[X] is in the state of [Y]."),
        ("treats", "[X] treats [Y]."),
        ("ACTED_IN", "[X] is acted in [Y]."),
        ("DIRECTED", "[X] directed [Y]."),
        ("ISO", "The ISO of [X] is [Y]."),
        ("is_a", "[X] is a [Y]."),
        ("/people/person/place_of_birth", "The place of birth of [X] is [Y]."),
        ("http://dbpedia.org/ontology/birthPlace", "The birth place of [X] is [Y]."),
        ("ISO code", "The ISO code of [X] is [Y]."),
        ("首都", "[X]的首都是[Y]。"),
        ("位于", "[X]位于[Y]。"),
        ("", "The P36 of [X] is [Y]."),
    ],
)
def test_templates_are_made_from_labels(label: str, text: str) -> None:
    assert from_label(Relation("P36", label)) == Template(text)


def test_a_statement_has_the_spans_of_its_names() -> None:
    statement = Template("In [Y] lies [X].").state("Graz", "Styria")
    assert statement == ("In Styria lies Graz.", (15, 19), (3, 9))


@given(label=st.text(), subject=st.text(), object=st.text())
def test_spans_are_right_for_any_label_and_names(label: str, subject: str, object: str) -> None:
    statement = from_label(Relation("r", label)).state(subject, object)
    assert statement.text[slice(*statement.subject)] == subject
    assert statement.text[slice(*statement.object)] == object


@pytest.mark.parametrize(
    ("line", "problem"),
    [("P36 [X] [Y]", "TAB"), ("P36\t[X] is big", r"expected \[Y\] once"), ("P36\t[X] [X] [Y]", "once")],
)
def test_an_invalid_line_is_an_error_with_its_number(tmp_path: Path, line: str, problem: str) -> None:
    file = tmp_path / "templates.tsv"
    file.write_text(f"# paraphrases\n\n{line}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=rf"templates\.tsv, line 3: .*{problem}"):
        read_templates(file)


def test_a_file_adds_paraphrases_and_labels_fill_the_rest(tmp_path: Path) -> None:
    graph = _graph(tmp_path)
    file = tmp_path / "templates.tsv"
    file.write_text("borders\t[X] borders on [Y].\nborders\t[Y] is a neighbour of [X].\n", encoding="utf-8")
    by_relation = dict(zip([r.id for r in graph.relations], templates_of(graph, file), strict=True))
    assert [template.text for template in by_relation["borders"]] == [
        "[X] borders on [Y].",
        "[Y] is a neighbour of [X].",
    ]
    assert by_relation["capital"] == (Template("The capital of [X] is [Y]."),)
    file.write_text("neighbour\t[X] borders on [Y].\n", encoding="utf-8")
    with pytest.raises(ValueError, match="no relation 'neighbour'"):
        templates_of(graph, file)


def _graph(folder: Path) -> Graph:
    writer = GraphWriter(folder / "graph")
    writer.add_relation(Relation("borders", "shares border with"))
    writer.add_relation(Relation("capital", "capital"))
    return writer.finish()


def test_a_folder_of_pararel_may_have_other_relations(tmp_path: Path) -> None:
    graph, folder = _graph(tmp_path), tmp_path / "patterns"
    folder.mkdir()
    (folder / "P36.jsonl").write_text('{"pattern": "[Y] is the capital of [X]."}\n', encoding="utf-8")
    assert read_pararel(folder) == {"P36": (Template("[Y] is the capital of [X]."),)}
    assert templates_of(graph, folder) == templates_of(graph)
    (folder / "P19.jsonl").write_text('{"pattern": "[X] was born."}\n', encoding="utf-8")
    with pytest.raises(ValueError, match=r"P19\.jsonl, line 1: .*pattern"):
        read_pararel(folder)
    with pytest.raises(ValueError, match="expected ParaRel's patterns"):
        read_pararel(tmp_path)


def test_a_pipe_and_malicious_json_are_an_error(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "t.tsv")
    with pytest.raises(ValueError, match=r"t\.tsv: expected a file, found a pipe"):
        read_templates(tmp_path / "t.tsv")
    (tmp_path / "P1.jsonl").write_text('{"pattern": "[X] [Y]"}\n{"pattern": ' + "[" * 500_000 + "\n")
    with pytest.raises(ValueError, match=r"P1\.jsonl, line 2: .*nested too deeply"):
        read_pararel(tmp_path)
