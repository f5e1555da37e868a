"""Further names of a domain's terms."""

from __future__ import annotations

import pytest

from kepipe.linking.kb.terms import lower_case_words, term_spans, term_variants


@pytest.mark.parametrize(
    ("name", "variant"),
    [
        ("skin tumor", "skin tumour"),
        ("sickle cell anaemia", "sickle cell anemia"),
        ("ataxia telangiectasia", "ataxia-telangiectasia"),
        ("Wilms' tumor", "Wilms tumors"),
        ("Alzheimer's disease", "Alzheimer disease"),
        ("cancer of the breast", "breast cancer"),
        ("breast cancer", "cancer of the breast"),
        ("anemia, sickle cell", "sickle cell anemia"),
        ("neurofibromatosis 1", "neurofibromatosis type I"),
        ("Lesch-Nyhan syndrome", "Lesch-Nyhan"),
        ("Duchenne muscular dystrophy", "DMD"),
        ("von Hippel-Lindau disease", "VHL"),
        ("benign neoplasms", "benign neoplasm"),
    ],
)
def test_term_variants(name: str, variant: str) -> None:
    assert variant in set(term_variants([name]))


def test_forms_that_are_not_term_variants() -> None:
    assert "basal cell carcinoma".upper() not in set(term_variants(["basal cell carcinoma"]))
    assert "BCC" not in set(term_variants(["basal cell carcinoma"]))  # not named after a person
    assert "ataxi" not in set(term_variants(["ataxias", "ataxia"]))


@pytest.mark.parametrize(
    ("name", "variant"),
    [
        ("Hemophilia A", "hemophilia A"),
        ("Hodgkin Lymphoma", "Hodgkin lymphoma"),
        ("Hemophilia, Classic", "classic haemophilia"),
        ("Huntington's Disease", "Huntington disease"),
    ],
)
def test_terms_with_capitals_are_also_written_in_lower_case(name: str, variant: str) -> None:
    lower = lower_case_words(["classic hemophilia A", "lymphoma of bone", "rare disease"])
    assert variant in set(term_variants([name], lower))


def test_eponyms_keep_their_capitals() -> None:
    lower = lower_case_words(["Down syndrome", "Best disease", "Still's disease", "lymphoma"])
    assert lower == {"syndrome", "disease", "lymphoma"}
    for name in ("Down syndrome", "Best disease", "Still's disease", "Hodgkin lymphoma", "IgA disease"):
        assert all(variant[0].isupper() for variant in term_variants([name], lower))


def test_term_spans() -> None:
    text = "A rare disease, Familial renal cell carcinoma of cells, and two ovarian cancers."
    modifiers, heads = {"renal", "cell", "ovarian", "familial", "of"}, {"carcinoma", "cancers", "disease"}
    spans = [text[start:end] for start, end in term_spans(text, modifiers, heads)]
    assert spans == ["Familial renal cell carcinoma", "ovarian cancers"]
