import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kepipe.data.alignment import LEVELS
from kepipe.data.document import Document, Mention, Span
from kepipe.data.document_files import held_out, write_documents
from kepipe.data.shards import open_shard
from kepipe.flow.events import Event, Metrics, Noted
from kepipe.stages.artifacts import Linked, Shards
from kepipe.stages.shards import SHARDS, ShardsConfig, ShardsInputs
from kepipe.tokenization.tokenizer import load_tokenizer
from tests.support.stages import count_parsed, run_stage


def make_documents(count: int) -> list[Document]:
    documents = []
    for n in range(count):
        text = f"Town {n} lies in Paris county (Lamar). Its {n * 7} people live well."
        mention = Mention(text.index("Paris"), text.index("Paris") + 5, f"Q{n % 5}")
        stop = text.index(". ") + 1
        sentences = (Span(0, stop), Span(stop + 1, len(text)))
        documents.append(Document(f"doc{n}", text, sentences=sentences, mentions=(mention,)))
    return documents


def linked(tmp_path: Path, documents: list[Document], share: float = 0.1) -> ShardsInputs:
    folder = tmp_path / "linked"
    folder.mkdir(exist_ok=True)
    write_documents(folder / "documents.jsonl", documents)
    (folder / "corpus.json").write_text(f'{{"held_out_share": {share}}}')
    return ShardsInputs(Linked(folder, "digest"))


def run(inputs: ShardsInputs, folder: Path, **config: Any) -> list[Event]:
    return run_stage(SHARDS, inputs, ShardsConfig.model_validate(config), folder)


def content(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


def test_documents_become_shards(tmp_path: Path) -> None:
    documents = make_documents(60)
    events = run(linked(tmp_path, documents), tmp_path, tokenizer={"size": 600})
    out = tmp_path / "out"
    tokenizer, train, rest = (
        load_tokenizer(out / "tokenizer"),
        open_shard(out / "train"),
        open_shard(out / "held_out"),
    )
    assert rest.ids() == [d.id for d in documents if held_out(d.id, 0.1)]
    assert train.ids() == [d.id for d in documents if not held_out(d.id, 0.1)]
    first = slice(*train.documents[:2].tolist())
    by_id = {document.id: document for document in documents}
    assert tokenizer.decode(train.tokens[first]).replace(" ", "") == by_id[
        train.ids()[0]
    ].text.lower().replace(" ", "")
    assert len(train.sentences) - 1 == 2 * (len(train.documents) - 1)
    entities = (out / "entities.txt").read_text().split()
    names = {entities[row] for row in train.entities[train.entities >= 0]}
    assert names == {"Q0", "Q1", "Q2", "Q3", "Q4"}
    assert ((train.bounds[train.entities >= 0] & LEVELS["entity"]) > 0).any()
    (metrics,) = (event.values for event in events if isinstance(event, Metrics))
    assert metrics["tokens"] == len(train)
    assert metrics["held_out_tokens"] == len(rest)
    assert metrics["mentions"] == metrics["aligned"] == 60


def test_existing_tokenizer_is_used_and_fingerprinted(tmp_path: Path) -> None:
    run(linked(tmp_path, make_documents(5), share=0), tmp_path, tokenizer={"from": "minilm"})
    assert load_tokenizer(tmp_path / "out" / "tokenizer").vocab_size == 30522
    config = ShardsConfig.model_validate({"tokenizer": {"from": "minilm"}})
    assert "tokenizer.json" in SHARDS.fingerprint(config)
    assert SHARDS.fingerprint(ShardsConfig()) == {}


def test_tokenizer_of_other_shards_is_reused(tmp_path: Path) -> None:
    inputs = linked(tmp_path, make_documents(40))
    run(inputs, tmp_path / "first", tokenizer={"size": 400})
    other = replace(inputs, tokenizer=Shards(tmp_path / "first" / "out", "digest"))
    run(other, tmp_path / "second")
    made = [content(tmp_path / name / "out" / "tokenizer") for name in ("first", "second")]
    assert made[0] == made[1]


@pytest.mark.parametrize(
    "tokenizer", [{"kind": "wordpiece", "size": 600}, {"kind": "bpe", "size": 600}, {"from": "minilm"}]
)
def test_shards_stage_parses_documents_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tokenizer: dict[str, Any]
) -> None:
    """Also if WordPiece training reads the texts twice before tokenisation."""
    inputs = linked(tmp_path, make_documents(60))
    monkeypatch.setattr("kepipe.data.parsed_chunks.CHUNK", 1000)
    parsed = count_parsed(inputs.linked.folder / "documents.jsonl", monkeypatch)
    run(inputs, tmp_path, tokenizer=tokenizer)
    assert len(parsed) == 60
    assert set(parsed.values()) == {1}


def test_missing_training_text_is_an_error_missing_held_out_a_warning(tmp_path: Path) -> None:
    kept = next(d for d in make_documents(200) if held_out(d.id, 0.1))
    with pytest.raises(ValueError, match="no text"):
        run(linked(tmp_path, [kept]), tmp_path / "a", tokenizer={"size": 600})
    with pytest.raises(ValueError, match="held-out share"):
        run(linked(tmp_path, [kept]), tmp_path / "b", tokenizer={"from": "minilm"})
    trained = [d for d in make_documents(200) if not held_out(d.id, 0.1)][:5]
    events = run(linked(tmp_path, trained), tmp_path / "c", tokenizer={"from": "minilm"})
    assert any(isinstance(e, Noted) and e.level == "warning" and "held out" in e.message for e in events)


KILLED = """
import sys
from pathlib import Path
import kepipe.data.parsed_chunks as parsed_chunks
import kepipe.data.sharding as sharding
import kepipe.stages.shards as stage
from kepipe.stages.artifacts import Linked
from tests.support.killing import kill_when
from tests.support.stages import run_stage
parsed_chunks.CHUNK, sharding.NOTE_EVERY = 2000, 0.0
linked, desk, workers, later = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
noted = desk / "scratch" / "shard_progress.json"
before = noted.read_text() if noted.exists() else ""
kill_when(lambda: noted.exists() and noted.read_text() != before, later)
config = stage.ShardsConfig.model_validate({"tokenizer": {"size": 600}, "workers": workers})
run_stage(stage.SHARDS, stage.ShardsInputs(Linked(linked, "digest")), config, desk)
"""


def test_killed_shards_stage_resumes_bit_identically(tmp_path: Path) -> None:
    """Also while two processes tokenise."""
    inputs = linked(tmp_path, make_documents(6000))
    run(inputs, tmp_path / "whole", tokenizer={"size": 600})
    command = [sys.executable, "-c", KILLED, str(inputs.linked.folder), str(tmp_path / "torn")]
    noted = tmp_path / "torn" / "scratch" / "shard_progress.json"
    seen, finished = [], False
    for workers, later in (("2", "0"), ("1", "0.05"), ("1", "0.15")):
        finished = subprocess.run([*command, workers, later], check=False).returncode == 0
        seen.append(json.loads(noted.read_text())["documents"])
        if finished:
            break
    assert 0 < seen[0] < 6000, "killed in the middle"
    assert seen == sorted(seen)
    events = run(inputs, tmp_path / "torn", tokenizer={"size": 600})
    assert any(isinstance(event, Noted) and "resuming after" in event.message for event in events)
    assert content(tmp_path / "torn" / "out") == content(tmp_path / "whole" / "out")


def test_damaged_tokenizer_of_an_earlier_attempt_is_retrained(tmp_path: Path) -> None:
    inputs = linked(tmp_path, make_documents(40))
    run(inputs, tmp_path / "desk", tokenizer={"size": 300})
    whole = content(tmp_path / "desk" / "out")
    (tmp_path / "desk" / "scratch" / "tokenizer" / "tokenizer.json").write_text("{")
    run(inputs, tmp_path / "desk", tokenizer={"size": 300})
    assert content(tmp_path / "desk" / "out") == whole


def test_lost_scratch_files_restart_the_stage(tmp_path: Path) -> None:
    inputs = linked(tmp_path, make_documents(40))
    run(inputs, tmp_path / "desk", tokenizer={"from": "minilm"})
    whole = content(tmp_path / "desk" / "out")
    (tmp_path / "desk" / "scratch" / "train" / "tokens.bin").write_bytes(b"")
    events = run(inputs, tmp_path / "desk", tokenizer={"from": "minilm"})
    assert not any(isinstance(event, Noted) and "continuing" in event.message for event in events)
    assert content(tmp_path / "desk" / "out") == whole
