import pytest

from kepipe.linking.variants import plural, variants


@pytest.mark.parametrize(
    ("names", "implied"),
    [
        (["poet"], {"poets"}),
        (["Soviet Union"], {"Soviet"}),
        (["Jewish people"], {"Jewish"}),
        (["Netherlands"], {"Dutch"}),
        (["New Zealand"], {"New Zealander", "New Zealanders"}),
        (["United States of America", "United States"], {"American", "Americans"}),
        (["University of Utrecht"], {"Utrecht University"}),
        (["Al Gore, Jr."], {"Al Gore"}),
        (
            ["University of California, Berkeley"],
            {f"University of California{mark}Berkeley" for mark in " -"}
            | {"University of California at Berkeley"},
        ),
        (["Oberlin Conservatory of Music"], {"Oberlin Conservatory"}),
        (["School of Athens"], set()),
        (["Acme, Inc."], {"Acme"}),
        (["Acme Company"], {"Acme"}),
        (["Company"], set()),
        (["Medellín"], {"Medellin"}),
        (["Лев Толстой"], set()),
        (["Omaha"], set()),
    ],
)
def test_what_names_imply(names: list[str], implied: set[str]) -> None:
    assert set(variants(names)) == implied


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("city", "cities"),
        ("boy", "boys"),
        ("church", "churches"),
        ("box", "boxes"),
        ("physics", ""),
        ("1984", ""),
    ],
)
def test_regular_plurals(name: str, expected: str) -> None:
    assert plural(name) == expected
