"""Artifact types of the stages, with typed access to their files."""

from __future__ import annotations

from collections.abc import Mapping

from kepipe.flow.artifact import Artifact
from kepipe.studies.scores import FILE, MODEL, Metrics, Scores, read_scores
from kg.regular_files import read_json


class Graph(Artifact):
    """A stored knowledge graph: `kg.store.open_graph(artifact.folder)`."""


class Corpus(Artifact):
    """Documents: `kepipe.data.document_files.read_documents(artifact.folder / "documents.jsonl")`."""

    def held_out_share(self) -> float:
        """The share of documents kept for evaluation: `kepipe.data.document_files.held_out(id, share)`."""
        return float(read_json(self.folder / "corpus.json")["held_out_share"])

    def documents(self) -> int:
        """The number of documents."""
        return int(read_json(self.folder / "corpus.json")["documents"])


class Linked(Corpus):
    """Documents with sentences, phrases and mentions; `scores.json` holds the linking scores."""


class Shards(Artifact):
    """Tokenised text: `tokenizer/`, `train/`, `held_out/`, `entities.txt`, and the `linker/` of the text."""


class Vectors(Artifact):
    """Entity vectors: `vectors.safetensors`, `entities.txt` and its index `entities.safetensors`; `scores.json` holds
    link prediction scores."""


class Model(Artifact):
    """A model folder: `config.json`, `model.safetensors`, tokenizer, `kepipe.json`; with fusion also the
    files of its entity vectors."""


class FineTuned(Model):
    """A fine-tuned model: also `task.json`, `head.safetensors`, `scores.json`, `predictions.jsonl`."""

    def scores(self) -> Mapping[str, Metrics]:
        """Split ("dev", "test") → metric → its value."""
        return read_scores(self.folder / FILE).arms[MODEL]


class TaskData(Artifact):
    """`train.jsonl`, `dev.jsonl`, `test.jsonl` of a task."""


class Evaluation(Artifact):
    """Scores of one or several models."""

    def scores(self) -> Scores:
        """The model's stage name → probe → metric, with differences, baselines and details."""
        return read_scores(self.folder / FILE)


class Report(Artifact):
    """`report.html`, a self-contained page."""


class Study(Artifact):
    """A comparison of arms over seeds: `study.json`, and `report.html`, a self-contained page."""


class Registration(Artifact):
    """`offer.json`: the model offered to the registry."""
