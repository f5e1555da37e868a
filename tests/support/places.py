"""A small graph of towns, states and countries, some of whose names are ambiguous."""

from kg.schema import Entity, Triple

ENTITIES = [
    Entity("us", "United States", ("USA", "US"), "country", ("country",), 3e8),
    Entity("uk", "United Kingdom", ("UK", "Great Britain"), "country", ("country",), 6e7),
    Entity("ne", "Nebraska", (), "state", ("state",), 2e6),
    Entity("ny", "New York", (), "state", ("state",), 2e7),
    Entity("nyc", "New York City", ("New York",), "city in New York", ("city",), 8e6),
    Entity("omaha", "Omaha", (), "city in Nebraska", ("city",), 5e5),
    Entity("lincoln-ne", "Lincoln", (), "city in Nebraska", ("city",), 3e5),
    Entity("lincoln-uk", "Lincoln", (), "cathedral city in Lincolnshire", ("city",), 1e5),
    Entity("york", "York", (), "city in Yorkshire", ("city",), 2e5),
    Entity("leeds", "Leeds", (), "city in Yorkshire", ("city",), 8e5),
    Entity("reading", "Reading", (), "town in Berkshire", ("city",), 2e5),
    Entity("tokyo", "東京", ("Tokyo",), "city in Japan", ("city",), 1e7),
]
TRIPLES = [
    Triple(head, relation, tail)
    for head, relation, tail in [
        ("ne", "in", "us"), ("ny", "in", "us"), ("nyc", "in", "ny"), ("omaha", "in", "ne"),
        ("lincoln-ne", "in", "ne"), ("lincoln-uk", "in", "uk"), ("york", "in", "uk"), ("leeds", "in", "uk"),
        ("reading", "in", "uk"),
    ]
]  # fmt: skip
