"""Columns of tables by their usual names, in any order; unlikely choices are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.sources import Read

FACT = {("oslo", "capital of", "norway")}


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("head,tail,relation", "oslo,norway,capital of"),
        ("subject,object,predicate", "oslo,norway,capital of"),
        ("source,target,label", "oslo,norway,capital of"),
        (":START_ID,role,:END_ID,:TYPE", "oslo,x,norway,capital of"),
        (":START_ID(City),:END_ID(Country),:TYPE", "oslo,norway,capital of"),
        ("Source,Target,Type,Id,Label,Weight", "oslo,norway,Directed,0,capital of,1.0"),
        (",subject,predicate,object", "0,oslo,capital of,norway"),
        ("Unnamed: 0,a,b,c", "0,oslo,capital of,norway"),
        ("id,subject,predicate,object,category", "u1,oslo,capital of,norway,x"),
        ("relation,display_relation,x_index,x_id,x_type,x_name,y_index,y_id,y_type,y_name",
         "capital of,c,0,oslo,city,Oslo,1,norway,country,Norway"),
        ("id,effectiveTime,active,moduleId,sourceId,destinationId,relationshipGroup,typeId",
        "1,2,1,m,oslo,norway,0,capital of"),
        ("from,to,how", "oslo,norway,capital of"),
        ("a,b,c", "oslo,capital of,norway"),
    ],
)  # fmt: skip
def test_columns_are_found_by_usual_names_and_reported(
    read: Read, tmp_path: Path, header: str, row: str
) -> None:
    file = tmp_path / "g.csv"
    file.write_text(f"{header}\n{row}\n")
    found = read(file)
    assert found.facts() == FACT
    (by,) = found.account.taken_by("facts")
    assert by.startswith("head ")
    assert found.left_out.get("columns", 0) == header.count(",") + 1 - 3 - 2 * ("x_name" in header)


def test_names_of_primekg(read: Read, tmp_path: Path) -> None:
    file = tmp_path / "kg.csv"
    file.write_text("relation,x_id,x_name,y_id,y_name\ntreats,1,Aspirin,2,Pain\n")
    assert list(read(file).graph.labels) == ["Aspirin", "Pain"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a,b,c\n" + "\n".join(f"x{n},y{n},z" for n in range(80)), "has 80 values in 80 rows"),
        ("a,b,c\nx,1,y\nz,2.5,y\n", "holds numbers"),
        ("source,type,target\nx,Directed,y\n", "says directions"),
    ],
)
def test_unlikely_columns_are_rejected(read: Read, tmp_path: Path, text: str, reason: str) -> None:
    file = tmp_path / "g.csv"
    file.write_text(text)
    with pytest.raises(
        ValueError,
        match=rf"g\.csv:1: the columns taken as head, relation and tail are .* {reason}; name three",
    ):
        read(file)
