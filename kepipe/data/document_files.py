"""Reading and writing documents as JSONL and Parquet streams, and the stable evaluation split.

One `Document` a line: `{"id", "text", "title", "sentences": [[start, end], …], "phrases": [[start, end], …],
"mentions": [{"start", "end", "entity", "score"}, …], "gold": […]}`. Only `text` is required; unknown keys
are ignored, so that files made for other tools can be read as they are.

A dialogue has `turns` in place of `text`: `{"turns": ["How old are you?", "Eight.", …]}`, two speakers in turn, or
`{"turns": [{"speaker": "Ann", "text": "How old are you?"}, …]}`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

from kepipe.data.document import Document, Mention, Span, Turn
from kepipe.data.line_readers import json_lines
from kg.problems import Problems
from kg.regular_files import open_regular

KEYS = ("id", "text", "title", "sentences", "phrases", "mentions", "gold", "turns")
"""The recognised keys of a document."""
HELD_OUT = 0.1
"""The default share of documents kept for evaluation."""


def held_out(id: str, share: float = HELD_OUT) -> bool:
    """Whether the document belongs to the evaluation split.

    Decided by a hash of the id alone, so new documents do not change the split of others, and a larger share contains a
    smaller one.
    """
    digest = hashlib.sha256(id.encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


def read_documents(file: Path, problems: Problems | None = None) -> Iterator[Document]:
    """Stream the documents of a `.jsonl` file.

    A bad line goes to `problems` and is skipped; without `problems` the first one is a ValueError that names
    file and line.
    """
    problems = Problems(strict=True) if problems is None else problems
    for number, record in json_lines(file, problems):
        try:
            document = from_record(record, default_id=f"{file.stem}:{number}")
        except ValueError as error:
            problems.add(file, number, str(error))
        else:
            yield document


def write_documents(file: Path, documents: Iterable[Document]) -> int:
    """Write one document per line. Returns their number."""
    count = 0
    with file.open("w", encoding="utf-8", newline="\n") as stream:
        for document in documents:
            stream.write(to_line(document))
            count += 1
    return count


def to_line(document: Document) -> str:
    """The document as one line of JSON, newline included; empty fields are left out."""
    return json.dumps(to_record(document), ensure_ascii=False, separators=(",", ":")) + "\n"


def to_record(document: Document) -> dict[str, Any]:
    """The document as plain data; empty fields are left out."""
    record: dict[str, Any] = {
        "id": document.id,
        "text": document.text,
        "title": document.title,
        "sentences": [list(span) for span in document.sentences],
        "phrases": [list(span) for span in document.phrases],
        "mentions": [_mention_record(mention) for mention in document.mentions],
        "gold": [_mention_record(mention) for mention in document.gold],
        "turns": [list(turn) for turn in document.turns],
    }
    return {key: value for key, value in record.items() if value or key in ("id", "text")}


def from_record(record: Any, default_id: str) -> Document:
    """A document from plain data. Raises ValueError that names the invalid field."""
    if not isinstance(record, Mapping):
        raise ValueError(f"expected a JSON object with a `text`, found {type(record).__name__}")
    if "turns" in record and "text" not in record:
        record = {**record, **_dialogue(record["turns"])}
    text = record.get("text")
    if not isinstance(text, str) or not text.strip():
        raise ValueError("`text` is missing, empty or not a string")
    return Document(
        id=str(record.get("id") or default_id),
        text=text,
        title=str(record.get("title") or ""),
        sentences=_spans(record, "sentences", len(text)),
        phrases=_spans(record, "phrases", len(text)),
        mentions=_mentions(record, "mentions", len(text)),
        gold=_mentions(record, "gold", len(text)),
        turns=_turns(record, len(text)),
    )


def _dialogue(turns: Any) -> dict[str, Any]:
    """Turns in either input form → a text with one line per turn, and the span of each turn."""
    if not isinstance(turns, list) or not turns:
        raise ValueError(f"`turns`: expected a list of turns, found {turns!r}")
    lines, places, start, first = [], [], 0, None
    for number, turn in enumerate(turns):
        text, speaker = (turn.get("text"), turn.get("speaker")) if isinstance(turn, Mapping) else (turn, None)
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"`turns`: turn {number + 1} has no text: {turn!r}")
        if isinstance(turn, Mapping) and not isinstance(speaker, str):
            raise ValueError(f"`turns`: turn {number + 1} needs a `speaker`, a name: {turn!r}")
        first = speaker if number == 0 else first
        role = number % 2 if speaker is None else int(speaker != first)
        lines.append(" ".join(text.split()))
        places.append([start, start + len(lines[-1]), role])
        start += len(lines[-1]) + 1
    return {"text": "\n".join(lines), "turns": places}


def _turns(record: Mapping[str, Any], length: int) -> tuple[Turn, ...]:
    turns = []
    for item in record.get("turns") or ():
        if not (isinstance(item, list | tuple) and len(item) == 3 and item[2] in (0, 1)):
            raise ValueError(f"`turns` with `text`: expected [start, end, role 0 or 1], found {item!r}")
        turns.append(Turn(*_check("turns", item[0], item[1], length), int(item[2])))
    if any(left.end > right.start for left, right in pairwise(turns)):
        raise ValueError("`turns`: turns must be in order and not overlap")
    return tuple(turns)


def _mention_record(mention: Mention) -> dict[str, Any]:
    return {
        "start": mention.start,
        "end": mention.end,
        "entity": mention.entity,
        "score": round(mention.score, 6),
    }


def _spans(record: Mapping[str, Any], field: str, length: int) -> tuple[Span, ...]:
    spans = []
    for item in record.get(field) or ():
        if not (isinstance(item, list | tuple) and len(item) == 2):
            raise ValueError(f"`{field}`: expected [start, end], found {item!r}")
        spans.append(Span(*_check(field, item[0], item[1], length)))
    if any(left.end > right.start for left, right in pairwise(spans)):
        raise ValueError(f"`{field}`: spans must be in order and not overlap")
    return tuple(spans)


def _mentions(record: Mapping[str, Any], field: str, length: int) -> tuple[Mention, ...]:
    mentions = []
    for item in record.get(field) or ():
        if not (isinstance(item, Mapping) and isinstance(item.get("entity"), str)):
            raise ValueError(
                f"`{field}`: expected {{start, end, entity}}, the entity a string, found {item!r}"
            )
        start, end = _check(field, item.get("start"), item.get("end"), length)
        mentions.append(Mention(start, end, item["entity"], float(item.get("score", 1.0))))
    return tuple(mentions)


def _check(field: str, start: Any, end: Any, length: int) -> tuple[int, int]:
    if type(start) is not int or type(end) is not int or not 0 <= start < end <= length:
        raise ValueError(
            f"`{field}`: {start!r}..{end!r} is not a valid span of a text of {length} characters"
        )
    return start, end


def read_parquet(file: Path, problems: Problems | None = None) -> Iterator[Document]:
    """Stream the documents of a Parquet file, row group by row group; columns as in JSONL."""
    import pyarrow.parquet

    problems = Problems(strict=True) if problems is None else problems
    try:
        table = pyarrow.parquet.ParquetFile(open_regular(file))
    except pyarrow.ArrowInvalid as error:
        raise ValueError(f"{file}: not a Parquet file ({error})") from None
    if "text" not in table.schema_arrow.names:
        raise ValueError(f"{file}: no column `text`; it has {', '.join(table.schema_arrow.names)}")
    columns = [name for name in KEYS if name in table.schema_arrow.names]
    row = 0
    for batch in table.iter_batches(batch_size=1024, columns=columns):
        for record in batch.to_pylist():
            row += 1
            try:
                yield from_record(record, default_id=f"{file.stem}:{row}")
            except ValueError as error:
                problems.add(file, row, str(error))


def write_parquet(file: Path, documents: Iterable[Document]) -> int:
    """Write the documents as Parquet in row groups of 1024. Returns their number."""
    import pyarrow
    import pyarrow.parquet

    span = pyarrow.list_(pyarrow.list_(pyarrow.int32()))
    mention = pyarrow.list_(
        pyarrow.struct(
            {
                "start": pyarrow.int32(),
                "end": pyarrow.int32(),
                "entity": pyarrow.string(),
                "score": pyarrow.float64(),
            }
        )
    )
    text = dict.fromkeys(("id", "text", "title"), pyarrow.string())
    schema = pyarrow.schema(
        text
        | dict.fromkeys(("sentences", "phrases", "turns"), span)
        | dict.fromkeys(("mentions", "gold"), mention)
    )
    records, count = map(to_record, documents), 0
    with pyarrow.parquet.ParquetWriter(file, schema) as writer:
        while rows := list(islice(records, 1024)):
            writer.write_table(pyarrow.Table.from_pylist(rows, schema=schema))
            count += len(rows)
    return count
