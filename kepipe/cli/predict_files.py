"""`kepipe predict --file`: files of any length, predicted in order and in batches; interrupted runs can be resumed."""

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
    from kepipe.api.predicting import Answering
    from kg.problems import Problems

BATCH_SIZE = 512
"""Texts per batch."""


Form = Literal["text", "json", "conll"]
"""Output format: short text (only on the terminal), JSON lines, or CoNLL columns."""


class InputText(NamedTuple):
    """An input text. `id`: that of its record, or its line number."""

    id: str
    text: str


def read_texts(file: Path, problems: Problems) -> Iterator[InputText]:
    """The texts of a file, one per line, or JSON lines `{"id", "text"}` if the first line is one; `-`: standard input.
    Blank lines are skipped; JSON lines without a text are reported in `problems`."""
    from kepipe.data.line_readers import stream_lines, text_lines
    from kepipe.data.user_json import parse_record
    from kg.regular_files import JsonError

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
            record = parse_record(line)
        except JsonError as error:
            problems.add(file, number, str(error))
            continue
        text = record.get("text") if isinstance(record, dict) else None
        if isinstance(text, str) and text.strip():
            yield InputText(str(record.get("id", number)), text)
        else:
            problems.add(file, number, "`text` is missing, empty or not a string")


def answer_all(predictor: Answering, texts: Iterable[InputText]) -> Iterator[list[dict[str, Any]]]:
    """Batches of records in the order of the texts: `id`, `text` and the prediction, or `error` with the reason."""
    source = iter(texts)
    while batch := list(islice(source, BATCH_SIZE)):
        records: list[dict[str, Any]] = [{"id": text.id, "text": text.text} for text in batch]
        _answer(predictor, records)
        yield records


def _answer(predictor: Answering, records: list[dict[str, Any]]) -> None:
    """Add predictions to records. If a text is rejected, each record is predicted alone, so that only its own fails."""
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
    """Counts of processed and rejected texts, and whether any entity was found."""

    texts: int = 0
    refused: int = 0
    with_entities: bool = False

    def count(self, record: dict[str, Any]) -> None:
        """Count a record."""
        self.texts += 1
        self.refused += "error" in record
        self.with_entities = self.with_entities or "entities" in record


@contextmanager
def resumable(
    out: Path | None, job: str, form: Form = "json"
) -> Iterator[tuple[TextIOBase | IO[str], Totals]]:
    """An output file that is renamed when complete, with the totals of an interrupted attempt. None: standard output.

    `job`: digest of the work; an attempt with another digest is discarded. An attempt is kept beside `out` as
    `OUT.partial`, with its job in `OUT.partial.job`. Raises ValueError if another process is writing the file.
    """
    if out is None:
        yield Screen(), Totals()
        return
    require_writable(out)
    partial, mark = out.with_name(f"{out.name}.partial"), out.with_name(f"{out.name}.partial.job")
    held = out.with_name(f"{out.name}.partial.lock")
    with lock(held, timeout=0) as acquired:
        if not acquired:
            raise ValueError(f"{out}: another process is writing it")
        if not (mark.is_file() and partial.is_file() and mark.read_text() == job):
            partial.unlink(missing_ok=True)
            mark.write_text(job)
        with partial.open("a+b") as stream:
            totals = _count_complete(stream, form)
        with partial.open("a", encoding="utf-8", newline="\n") as text:
            yield text, totals
            text.flush()
            os.fsync(text.fileno())
        partial.replace(out)
        mark.unlink()
    held.unlink(missing_ok=True)


def _count_complete(stream: IO[bytes], form: Form) -> Totals:
    """Totals of the complete records in a file; an incomplete last record is truncated."""
    stream.seek(0)
    totals, end, at, refused = Totals(), 0, 0, False
    for line in stream:
        at += len(line)
        refused = refused or line.startswith(_REFUSED.encode())
        if form == "json" and line.endswith(b"\n"):
            totals.count(json.loads(line))
            end = at
        elif form == "conll" and line == b"\n":  # columns have no entities, so none is reported as missing
            totals.count({"entities": [], **({"error": ""} if refused else {})})
            end, refused = at, False
    stream.truncate(end)
    return totals


_REFUSED = "# error = "


def refusal(record: Mapping[str, Any]) -> str:
    """A rejected text as a comment in CoNLL columns."""
    reason = " ".join(str(record["error"]).split())
    return f"# id = {record['id']}\n{_REFUSED}{reason}\n\n"


def digest_job(
    model: Path, file: Path, sources: Mapping[str, Path | None], options: Mapping[str, Any]
) -> str:
    """Digest of everything that predictions depend on: model, texts, `sources` such as the graph, options, kepipe."""
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
    """A record as a JSON line."""
    return json.dumps(record, ensure_ascii=False) + "\n"
