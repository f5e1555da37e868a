import json
from pathlib import Path

from kepipe.finetuning.texts import known_texts, read_documents
from kg.problems import Problems


def test_texts_of_pairs_are_deduplicated_without_labels(tmp_path: Path) -> None:
    pairs = [
        {"text": "Who wrote it?", "second": "Ann did.", "label": "1"},
        {"text": "Who wrote it?", "second": "Nobody.", "label": "0"},
    ]
    (tmp_path / "train.jsonl").write_text("\n".join(map(json.dumps, pairs)))
    documents = list(read_documents("pairs", [tmp_path / "train.jsonl"], Problems()))
    assert [document.text for document in documents] == ["Who wrote it?", "Ann did.", "Nobody."]
    assert len({document.id for document in documents}) == 3
    assert known_texts("pairs", [tmp_path / "train.jsonl"], Problems()).found_in("ann did")
