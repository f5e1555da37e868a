"""ConceptNet's assertions (`conceptnet-assertions-5.7.0.csv.gz`): five tab-separated columns, the first of which is the
URI of the assertion.

Only assertions with both concepts in the requested languages are read. The label of a concept is its text
("/c/en/hot_dog/n" is "hot dog"), and its part of speech is its type. `ExternalURL` gives further ids.
"""

from __future__ import annotations

import re
from pathlib import Path

from kg.problems import Problems
from kg.sources.account import Account
from kg.sources.collected import Collected
from kg.sources.reading import Choices, Tick, explain, rank_language, read_lines
from kg.sources.vocabularies import Role
from kg.writer import GraphWriter

_PARTS = {"n": "noun", "v": "verb", "a": "adjective", "s": "adjective", "r": "adverb"}
_WORDS = re.compile(r"(?<=[a-z])(?=[A-Z])")
_EXTERNAL = "/r/ExternalURL"


def read_conceptnet(
    file: Path, writer: GraphWriter, problems: Problems, tick: Tick, choices: Choices
) -> Account:
    """Read `file` into `writer`. Uses the option `languages`."""
    graph = Collected()
    named: set[str] = set()
    for number, line in read_lines(file, problems, tick):
        try:
            cells = line.decode().rstrip("\r\n").split("\t")
            if len(cells) < 4 or not cells[1].startswith("/r/"):
                raise ValueError(f"expected /a/…, a relation /r/…, and two concepts /c/…, found {cells[:4]}")
        except ValueError as error:
            problems.add(file, number, explain(error))
            continue
        relation, head, tail = cells[1:4]
        ends = [head] if relation == _EXTERNAL else [head, tail]
        languages = [
            end.split("/")[2] if end.startswith("/c/") and end.count("/") > 2 else "" for end in ends
        ]
        if any(not tag or rank_language(tag, choices.languages) is None for tag in languages):
            graph.account.leave("assertions in other languages")
            continue
        for end in ends:
            if end not in named:
                named.add(end)
                _tell(graph, end)
        if relation == _EXTERNAL:
            graph.tell(head, Role.FURTHER_ID, tail, "ExternalURL")
        else:
            graph.relation(relation, _WORDS.sub(" ", relation.removeprefix("/r/")).lower())
            graph.triple(head, relation, tail, relation)
    return graph.store(writer)


def _tell(graph: Collected, concept: str) -> None:
    parts = concept.split("/")
    graph.tell(concept, Role.NAME, parts[3].replace("_", " "), "the concept's address")
    if len(parts) > 4 and parts[4] in _PARTS:
        graph.tell(concept, Role.TYPE, _PARTS[parts[4]], "the concept's address")
