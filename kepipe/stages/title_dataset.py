"""Stage `title-dataset`: a corpus whose documents have titles → the task of writing the title of a text."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass

from pydantic import Field

from kepipe.config import Section
from kepipe.flow.stage import Stage, StageContext
from kepipe.stages.artifacts import Corpus, TaskData

SPLITS = ("train", "dev", "test")
NONE_IN_SPLIT = {
    "train": "hold out less in the corpus (`held_out`), and set a smaller `dev`",
    "dev": "set a larger `dev`",
    "test": "hold out more in the corpus, such as `held_out: 0.2`",
}


class TitleDatasetConfig(Section):
    """Texts with their titles, for `task: text-to-text`."""

    characters: int = Field(1000, ge=20)
    """The most characters of a text; longer documents are truncated."""
    passages: int = Field(1, ge=1)
    """Maximum number of texts of a document in `train`: consecutive passages from its beginning. In `dev` and `test` a
    document has one, its beginning."""
    dev: float = Field(0.1, gt=0, lt=0.5)
    """Share of the documents that are not held out in the dev split. The test split has the documents that the corpus
    holds out."""


@dataclass(frozen=True)
class TitleDatasetInputs:
    """The documents with titles."""

    corpus: Corpus


def write_titles(inputs: TitleDatasetInputs, config: TitleDatasetConfig, context: StageContext) -> None:
    """Write `train.jsonl`, `dev.jsonl` and `test.jsonl`. Raises ValueError for a split without texts."""
    from kepipe.data.document_files import read_documents
    from kepipe.finetuning.title_dataset import Lengths, make_titles

    documents = read_documents(inputs.corpus.folder / "documents.jsonl")
    shares = (inputs.corpus.held_out_share(), config.dev)
    counts: Counter[str] = Counter()
    with ExitStack() as files:
        streams = {
            split: files.enter_context(
                (context.out / f"{split}.jsonl").open("w", encoding="utf-8", newline="\n")
            )
            for split in SPLITS
        }
        for made in make_titles(documents, shares, Lengths(config.characters, config.passages)):
            record = {"id": made.id, "text": made.text, "target": made.title}
            streams[made.split].write(json.dumps(record, ensure_ascii=False) + "\n")
            counts[made.split] += 1
            if made.number == 0:
                counts["documents"] += 1
                counts["begin"] += made.text.lower().startswith(made.title.lower())
                counts["contain"] += made.title.lower() in made.text.lower()
    if not counts["documents"]:
        raise ValueError("title-dataset: no document of the corpus has a title")
    for split in SPLITS:
        if not counts[split]:
            raise ValueError(f"title-dataset: no document for `{split}`: {NONE_IN_SPLIT[split]}")
    begin, contain = (counts[name] / counts["documents"] for name in ("begin", "contain"))
    context.log({**{split: counts[split] for split in SPLITS}, "begin": begin, "contain": contain})
    context.note(
        f"{counts['documents']:,} documents: the first text of {begin:.0%} begins with the title, that of "
        f"{contain:.0%} contains it"
    )


TITLE_DATASET = Stage("title-dataset", 1, TitleDatasetInputs, TitleDatasetConfig, TaskData, write_titles)
