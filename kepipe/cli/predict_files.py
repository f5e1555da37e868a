"""`kepipe predict --file`: files of any length, answered in their order, a piece at a time, and gone on with after a
kill."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedIOBase, TextIOBase
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, NamedTuple, cast

from kepipe.cli.link_files import require_writable
from kepipe.files import lock
from kepipe.terminal import Screen
from kepipe.version import __version__

if TYPE_CHECKING:
    from kepipe.finetuning.predictor import Predictor
    from kg.problems import Problems

AT_ONCE = 512
"""Texts that are answered together."""


Form = Literal["text", "json", "conll"]
"""How answers are printed: in a few words, as JSON lines, or as CoNLL's columns. The first is for the screen alone."""


class InputText(NamedTuple):
    """A text to be answered; `id`: that of its record, else the number of its line."""

    id: str
    text: str


def read_texts(file: Path, problems: Problems) -> Iterator[InputText]:
    """The texts of a file, one a line, or of JSON lines `{"id", "text"}`, by how the first line begins; `-`: standard
    input. Blank lines are passed over; a line of JSON without a text is a problem."""
    from kepipe.data.line_readers import stream_lines, text_lines
    from kg.regular_files import JsonError, parse_json

    if str(file) == "-":
        lines = stream_lines(cast(BufferedIOBase, sys.stdin.buffer), file, problems)
    else:
        lines = text_lines(file, problems)
    as_json: bool | None = None
    for number, line in lines:
        if not line.strip():
            continue
        as_json = line.lstrip().startswith('{"') if as_json is None else as_json
        if not as_json:
            yield InputText(str(number), line)
            continue
        try:
            record = parse_json(line)
        except JsonError as error:
            problems.add(file, number, str(error))
            continue
        text = record.get("text") if isinstance(record, dict) else None
        if isinstance(text, str) and text.strip():
            yield InputText(str(record.get("id", number)), text)
        else:
            problems.add(file, number, "`text` is missing, empty or not a string")


def answer_all(predictor: Predictor, texts: Iterable[InputText]) -> Iterator[list[dict[str, Any]]]:
    """A record of each text, in their order, as many at a time as are answered together: `id`, `text`, and what the
    model answers, or under `error` why it does not."""
    source = iter(texts)
    while together := list(islice(source, AT_ONCE)):
        records: list[dict[str, Any]] = [{"id": text.id, "text": text.text} for text in together]
        _answer(predictor, records)
        yield records


def _answer(predictor: Predictor, records: list[dict[str, Any]]) -> None:
    """Put the answers into the records; where one text is refused, each is asked alone."""
    try:
        answers = predictor.predict([record["text"] for record in records])
    except ValueError as error:
        if len(records) == 1:
            records[0]["error"] = str(error).removeprefix("text 1: ")
        else:
            for record in records:
                _answer(predictor, [record])
        return
    for record, answer in zip(records, answers, strict=True):
        record |= {key: value for key, value in answer.items() if key != "id"}


@dataclass
class Totals:
    """Of the texts that were answered: how many, how many refused, and whether any entity was used."""

    texts: int = 0
    refused: int = 0
    with_entities: bool = False

    def count(self, record: dict[str, Any]) -> None:
        """Count one more."""
        self.texts += 1
        self.refused += "error" in record
        self.with_entities = self.with_entities or "entities" in record


@contextmanager
def resumable(
    out: Path | None, job: str, form: Form = "json"
) -> Iterator[tuple[TextIOBase | IO[str], Totals]]:
    """A file that appears when it is whole, and what an interrupted attempt has written of it. None: standard output.

    `job`: a digest of what is done; another one begins anew. What is written of an attempt stays beside `out`, as
    `OUT.partial` with its job in `OUT.partial.job`. Raises ValueError where another process writes it now.
    """
    if out is None:
        yield Screen(), Totals()
        return
    require_writable(out)
    partial, mark = out.with_name(f"{out.name}.partial"), out.with_name(f"{out.name}.partial.job")
    held = out.with_name(f"{out.name}.partial.lock")
    with lock(held, timeout=0) as mine:
        if not mine:
            raise ValueError(f"{out}: another process is writing it")
        if not (mark.is_file() and partial.is_file() and mark.read_text() == job):
            partial.unlink(missing_ok=True)
            mark.write_text(job)
        with partial.open("a+b") as stream:
            totals = _written(stream, form)
        with partial.open("a", encoding="utf-8", newline="\n") as text:
            yield text, totals
            text.flush()
            os.fsync(text.fileno())
        partial.replace(out)
        mark.unlink()
    held.unlink(missing_ok=True)


def _written(stream: IO[bytes], form: Form) -> Totals:
    """What a file's whole records hold; what a kill left of one more is cut off."""
    stream.seek(0)
    totals, end, at, refused = Totals(), 0, 0, False
    for line in stream:
        at += len(line)
        refused = refused or line.startswith(_REFUSED.encode())
        if form == "json" and line.endswith(b"\n"):
            totals.count(json.loads(line))
            end = at
        elif form == "conll" and line == b"\n":  # of entities columns tell nothing: none is missed
            totals.count({"entities": [], **({"error": ""} if refused else {})})
            end, refused = at, False
    stream.truncate(end)
    return totals


_REFUSED = "# error = "


def refusal(record: Mapping[str, Any]) -> str:
    """A text that was not answered, among CoNLL's columns."""
    reason = " ".join(str(record["error"]).split())
    return f"# id = {record['id']}\n{_REFUSED}{reason}\n\n"


def digest_job(
    model: Path, file: Path, sources: Mapping[str, Path | None], options: Mapping[str, Any]
) -> str:
    """What answers depend on: the model's folder, the texts, the graph and other `sources`, the options, kepipe."""
    from kepipe.flow.artifact import hash_json
    from kepipe.flow.source_digests import digest_source

    def digests(place: Path | None) -> dict[str, str]:
        if place is None:
            return {}
        files = [place] if place.is_file() else [each for each in sorted(place.rglob("*")) if each.is_file()]
        return {each.relative_to(place).as_posix(): digest_source(each) for each in files}

    places = {"model": model, "texts": file, **sources}
    content = {name: digests(place) for name, place in places.items()}
    return hash_json({"content": content, "options": dict(options), "kepipe": __version__})


def to_line(record: dict[str, Any]) -> str:
    """A record as a line of JSON."""
    return json.dumps(record, ensure_ascii=False) + "\n"
