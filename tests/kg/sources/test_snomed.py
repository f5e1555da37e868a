"""SNOMED CT."""

from __future__ import annotations

from pathlib import Path

import pytest

from kg.schema import Entity, Relation
from kg.sources.snomed import find_snomed
from kg.sources.table import guess
from tests.support.sources import Read

FULL, SYNONYM, IS_A = "900000000000003001", "900000000000013009", "116680003"


def table(*rows: str) -> str:
    return "\r\n".join(row.replace(" ", "\t").replace("_", " ") for row in rows) + "\r\n"


def write(folder: Path) -> Path:
    place = folder / "Snapshot" / "Terminology"
    place.mkdir(parents=True)
    files = {
        "sct2_Concept_Snapshot_INT_2026.txt": table(
            "id effectiveTime active moduleId definitionStatusId", "1 2 1 m d", "2 2 1 m d", "9 2 0 m d",
            f"{IS_A} 2 1 m d"
        ),
        "sct2_Description_Snapshot-en_INT_2026.txt": table(
            "id effectiveTime active moduleId conceptId languageCode typeId term caseSignificanceId",
            f"11 2 1 m 1 en {FULL} Asthma_(disorder) c", f"12 2 1 m 1 en {SYNONYM} Wheezy_chest c",
            f"13 2 1 m 1 en {SYNONYM} Asthma c", f"14 2 1 m 2 en {FULL} Disease_(disorder) c",
            f"15 2 0 m 1 en {SYNONYM} old c", f"16 2 1 m 1 es {SYNONYM} asma c", f"17 2 1 m {IS_A} en {SYNONYM} Is_a c",
        ),
        "sct2_TextDefinition_Snapshot-en_INT_2026.txt": table(
            "id effectiveTime active moduleId conceptId languageCode typeId term caseSignificanceId",
            "31 2 1 m 1 en t Of_the_airways. c",
        ),
        "sct2_Relationship_Snapshot_INT_2026.txt": table(
            "id effectiveTime active moduleId sourceId destinationId relationshipGroup typeId "
            "characteristicTypeId modifierId",
            f"21 2 1 m 1 2 0 {IS_A} c m", f"22 2 0 m 2 1 0 {IS_A} c m", f"23 2 1 m 9 2 0 {IS_A} c m", "bad row",
        ),
        "der2_cRefset_LanguageSnapshot-en_INT_2026.txt": table(
            "id effectiveTime active moduleId refsetId referencedComponentId acceptabilityId",
            "41 2 1 m r 13 900000000000548007", "42 2 1 m r 12 900000000000549004",
        ),
    }  # fmt: skip
    for name, text in files.items():
        (place / name).write_bytes(text.encode())
    return folder


def test_snomed_concepts_with_preferred_names_are_read(read: Read, tmp_path: Path) -> None:
    assert guess(write(tmp_path)).name == "snomed"
    found = read(tmp_path)
    assert found.facts() == {("1", IS_A, "2")}
    assert found.graph.relations == [Relation(IS_A, "Is a")]
    asthma = found.graph.entity(found.graph.row("1"))
    assert asthma == Entity("1", "Asthma", ("Wheezy chest",), "Of the airways.", ("disorder",))
    assert found.left_out == {"relationships of inactive concepts": 1, "names in other languages": 1}
    assert found.problems == [
        "sct2_Relationship_Snapshot_INT_2026.txt:5: expected 10 columns separated by tabs, found 2"
    ]


def test_snomed_full_release_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "sct2_Relationship_Full_INT.txt").touch()
    with pytest.raises(
        ValueError, match=r"expected a snapshot of SNOMED CT .* \(not the files `Full` or `Delta`\)"
    ):
        find_snomed(tmp_path)
