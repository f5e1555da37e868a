"""WordNet's database files (wndb(5WN)): `data.noun`, `data.verb`, `data.adj`, `data.adv`, and `index.sense`.

A synset is an entity: its id is offset and part of speech ("00001740-n"), its label the first word, its aliases the
others, its description the gloss, its types the part of speech and the lexicographer file ("noun.animal"). The prior is
the frequency of its words in SemCor in this sense (`index.sense`). Pointers are triples; a pointer between two words
(antonym, derivation) relates their synsets.
"""

from __future__ import annotations

import re
from array import array
from collections import Counter
from pathlib import Path

import numpy as np

from kg.problems import Problems
from kg.schema import Entity, Relation
from kg.sources.account import Account
from kg.sources.reading import Choices, Tick, explain, packed_or_not, read_lines, unpacked_name
from kg.writer import GraphWriter

RELATIONS = {
    "!": "antonym", "@": "hypernym", "@i": "instance hypernym", "~": "hyponym", "~i": "instance hyponym",
    "#m": "member holonym", "#s": "substance holonym", "#p": "part holonym",
    "%m": "member meronym", "%s": "substance meronym", "%p": "part meronym", "=": "attribute",
    "+": "derivationally related form", ";c": "in the domain of topic", "-c": "topic domain of",
    ";r": "in the domain of region", "-r": "region domain of",
    ";u": "in the domain of usage", "-u": "usage domain of",
    "*": "entailment", ">": "cause", "^": "also see", "$": "verb group", "&": "similar to",
    "<": "participle of verb", "\\": "pertainym",
}  # fmt: skip
"""Pointer symbol → relation (wninput(5WN)). The "pertainym" of an adverb is the adjective from which it is derived."""

_FILE_NAMES = """
adj.all adj.pert adv.all noun.Tops noun.act noun.animal noun.artifact noun.attribute noun.body noun.cognition
noun.communication noun.event noun.feeling noun.food noun.group noun.location noun.motive noun.object noun.person
noun.phenomenon noun.plant noun.possession noun.process noun.quantity noun.relation noun.shape noun.state
noun.substance noun.time verb.body verb.change verb.cognition verb.communication verb.competition verb.consumption
verb.contact verb.creation verb.emotion verb.motion verb.perception verb.possession verb.social verb.stative
verb.weather adj.ppl
"""
_FILES = _FILE_NAMES.split()
_PARTS = {"n": "noun", "v": "verb", "a": "adjective", "s": "adjective", "r": "adverb"}
_SENSE_PARTS = {b"1": "n", b"2": "v", b"3": "a", b"4": "r", b"5": "a"}
_SYNTAX = re.compile(r"\((?:a|p|ip)\)$")
_DATA_OF = {"n": "data.noun", "v": "data.verb", "a": "data.adj", "r": "data.adv"}
DATA = tuple(_DATA_OF.values())
_SENSES = "index.sense"


def find_files(path: Path) -> list[Path]:
    """Find the files at `path`: a folder with `data.noun`, or one data file, compressed or not. Raises ValueError if
    there are none."""
    folder = path if path.is_dir() else path.parent
    data = [packed_or_not(folder / name) for name in DATA] if path.is_dir() else [path]
    found = [file for file in data if file is not None and file.is_file()]
    if not found:
        raise ValueError(f"{path}: expected a folder with WordNet's data.noun, data.verb, data.adj, data.adv")
    sense = packed_or_not(folder / _SENSES)
    return [*found, sense] if sense else found


def read_wordnet(
    path: Path, writer: GraphWriter, problems: Problems, tick: Tick, _choices: Choices
) -> Account:
    """Read the database at `path` into `writer`. Raises ValueError as `find_files`."""
    files = find_files(path)
    data = [file for file in files if unpacked_name(file) != _SENSES]
    counts: Counter[str] = Counter()
    for file in files[len(data) :]:
        counts = _read_counts(file, problems, tick)
    pointers: list[tuple[Path, int, int, str, str]] = []
    for file in data:
        for number, line in read_lines(file, problems, tick):
            if line.startswith(b"  "):
                continue  # the license
            try:
                entity, targets = parse_synset(line.decode(), counts)
                row = writer.add_entity(entity)
            except ValueError as error:
                problems.add(file, number, explain(error))
                continue
            pointers += [(file, number, row, symbol, target) for symbol, target in targets]
    return _write_pointers(pointers, writer, problems, {unpacked_name(file) for file in data})


def parse_synset(line: str, counts: Counter[str]) -> tuple[Entity, list[tuple[str, str]]]:
    """The entity and the pointers (symbol, id) in a line of a data file. Raises ValueError with the reason.

    A line consists of: offset, file number, part of speech, number of words (hexadecimal), words each with a lexical
    id, number of pointers, pointers of four fields each, for verbs their frames, `|`, gloss.
    """
    record, bar, gloss = line.partition("|")
    fields = record.split()
    try:
        offset, file, part = fields[0], int(fields[1]), fields[2]
        if len(offset) != 8 or not offset.isdecimal() or not 0 <= file < len(_FILES) or part not in _PARTS:
            raise ValueError
        end = 4 + 2 * int(fields[3], 16)
        words = [_SYNTAX.sub("", word).replace("_", " ") for word in fields[4:end:2]]
        first, count = end + 1, int(fields[end])
        pointers = fields[first : first + 4 * count]
        targets = [(pointers[at], _id(pointers[at + 1], pointers[at + 2])) for at in range(0, 4 * count, 4)]
    except (IndexError, ValueError):
        raise ValueError(f"not a synset of WordNet's data files: {line.strip()[:60]!r}") from None
    if not words or not bar:
        raise ValueError(f"synset {offset} has no {'gloss' if words else 'words'}")
    label, *aliases = dict.fromkeys(words)
    id = _id(offset, part)
    types = (_PARTS[part], _FILES[file])
    return Entity(id, label, tuple(aliases), gloss.strip(), types, float(counts[id])), targets


def _read_counts(file: Path, problems: Problems, tick: Tick) -> Counter[str]:
    """Synset → frequency, summed over its words. Lines: sense key, offset, sense number, count."""
    counts: Counter[str] = Counter()
    for number, line in read_lines(file, problems, tick):
        try:
            key, offset, _, count = line.split()
            counts[_id(offset.decode(), _SENSE_PARTS[key.split(b"%")[1][:1]])] += int(count)
        except (ValueError, KeyError, IndexError):
            problems.add(file, number, "expected a sense key, an offset, a sense number and a count")
    return counts


def _write_pointers(
    pointers: list[tuple[Path, int, int, str, str]], writer: GraphWriter, problems: Problems, read: set[str]
) -> Account:
    """Write the pointers as triples; pointers to a file that was not read are skipped."""
    account = Account()
    account.take("synsets", count=len(writer.entity_rows))
    flat = array("i")
    for file, number, row, symbol, target in pointers:
        if symbol not in RELATIONS:
            problems.add(file, number, f"unknown pointer {symbol!r}")
        elif target in writer.entity_rows:
            id = RELATIONS[symbol].replace(" ", "_")
            if id not in writer.relation_rows:
                writer.add_relation(Relation(id, RELATIONS[symbol]))
            account.take("facts", RELATIONS[symbol])
            flat.extend((row, writer.relation_rows[id], writer.entity_rows[target]))
        elif _DATA_OF[target[-1]] in read:
            problems.add(file, number, f"points to {target}, which is no synset")
        else:
            account.leave("pointers into a file that was not read", _DATA_OF[target[-1]])
    writer.add_triples("train", np.frombuffer(flat, np.int32))
    return account


def _id(offset: str, part: str) -> str:
    """The id of a synset. Satellite adjectives (s) have the same files as adjectives. Raises ValueError for an unknown
    part of speech."""
    if part not in _PARTS:
        raise ValueError(part)
    return f"{offset}-{'a' if part == 's' else part}"
