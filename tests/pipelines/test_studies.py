"""The included studies, end to end through the command line, tiny: every arm is trained, the page is written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kepipe.knowledge.choosing.choices import CHOICES
from kepipe.knowledge.ernie_tsinghua.vectors import EntityVectors
from kepipe.models import folder
from tests.benchmarks import choices
from tests.support.kepipe_run import EXAMPLE, ROOT, Kepipe, Outcome
from tests.support.own_data import write_project
from tests.support.tasks import base_model, write_task

TINY_FINETUNE = ("length=32", "epochs=1", "batch_tokens=512")
TINY_PRETRAIN = ("length=48", "steps=8", "batch_tokens=512", "log_every=4", "eval_every=4")


def run(workspace: Path, name: str, *settings: str) -> tuple[Path, Outcome]:
    """The results of a study with one seed."""
    kepipe = Kepipe(workspace, ROOT / "pipelines" / f"{name}.yaml")
    outcome = kepipe.run_here(settings=("study.seeds=1", *settings))
    assert outcome.code == 0, outcome.errors
    return workspace / name, outcome


def of(stage: str, settings: tuple[str, ...]) -> Iterator[str]:
    return (f"stages.{stage}.{setting}" for setting in settings)


def arms(results: Path) -> set[str]:
    """The arms of a finished study; all have the main metric and are on the page."""
    study = json.loads((results / "study" / "study.json").read_text())
    page = (results / "study" / "report.html").read_text()
    found, *beside = (set(finding["arms"]) for finding in study["findings"])
    assert all(some <= found for some in beside)
    assert all(arm in page for arm in found)
    return found


def write(file: Path, rows: list[dict[str, Any]]) -> Path:
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return file


def relations_of_the_example(file: Path) -> Path:
    """A sentence for each triple of the example, with its head and tail."""
    entities = [json.loads(line) for line in (EXAMPLE.parent / "entities.jsonl").open(encoding="utf-8")]
    labels = {entity["id"]: entity["label"] for entity in entities}
    rows = []
    for line in (EXAMPLE.parent / "triples.tsv").read_text().splitlines():
        head, relation, tail = line.split("\t")
        text = f"{labels[head]} and {labels[tail]}"
        at = len(text) - len(labels[tail])
        rows.append(
            {
                "text": text,
                "head": {"start": 0, "end": len(labels[head]), "entity": head},
                "tail": {"start": at, "end": len(text), "entity": tail},
                "label": relation,
            }
        )
    return write(file, rows)


def test_ernie_tsinghua_study_compares_its_arms(tmp_path: Path) -> None:
    data = relations_of_the_example(tmp_path / "relations.jsonl")
    results, outcome = run(
        tmp_path / "workspace",
        "ernie-tsinghua",
        f"graph={{source: native, path: {EXAMPLE.parent}}}",
        f"corpus={{source: folder, path: {EXAMPLE.parent / 'texts'}, held_out: 0.3}}",
        "stages.link.spacy_model=null",
        "stages.shards.tokenizer={size: 700}",
        "stages.embed.dim=8",
        "stages.embed.epochs=4",
        "stages.pretrain.base={family: bert, hidden: 32, layers: 3, heads: 2}",
        "stages.pretrain.knowledge.entity_heads=2",
        "stages.pretrain.format=segment-pair",
        *of("pretrain", TINY_PRETRAIN),
        f"stages.finetune.data={{train: {data}, test: {data}}}",
        *of("finetune", TINY_FINETUNE),
        "stages.evaluate.context=48",
    )
    assert arms(results) == {"full", "without-dea", "no-entities", "graph-shuffled"}
    *_, named = json.loads((results / "study" / "study.json").read_text())["findings"]
    assert named["measure"] == "pretrain/final_held_out_changed_entity_accuracy"
    assert set(named["arms"]) == {"full", "graph-shuffled"}, "the others do not learn to name entities"
    told: dict[str, float] = {}
    for event in outcome.events:
        if event["event"] == "Metrics" and event["stage"] == "pretrain.full.0":
            told |= event["values"]
    assert {"loss_mlm", "loss_nsp", "loss_dea", "entity_accuracy", "final_held_out_loss_dea"} <= told.keys()
    assert 0 < told["mentions_with_vector"] <= told["mentions"]
    assert 0 <= told["final_held_out_entity_accuracy"] <= 1
    model = folder.load(results / "pretrain.full.0")
    assert model.config.fusion is not None
    assert (model.config.fusion.first, model.config.fusion.hidden) == (1, 8)
    assert folder.load(results / "pretrain.no-entities.0").config.fusion is None
    true, wrong = (EntityVectors.open(results / f"pretrain.{arm}.0") for arm in ("full", "graph-shuffled"))
    assert list(true.vectors.ids) == list(wrong.vectors.ids)
    assert not (true.table() == wrong.table()).all(1).any()


def test_k_bert_study_compares_its_arms(tmp_path: Path) -> None:
    results, _ = run(
        tmp_path / "workspace",
        "k-bert",
        f"graph={{source: native, path: {EXAMPLE.parent}}}",
        "stages.graph-dataset={fewest: 4, most: 20, dev: 0.2, test: 0.2}",
        "stages.finetune.base={family: bert, hidden: 32, layers: 1, heads: 2}",
        f"stages.finetune.tokenizer={vocabulary(tmp_path / 'vocab.txt', example_characters())}",
        *of("finetune", TINY_FINETUNE),
    )
    assert arms(results) == {
        "similar", "graph-order", "all-see", "wrong-all-see", "graph-off", "graph-shuffled", "names-only",
        "triples-as-text",
    }  # fmt: skip
    asked = [
        json.loads(line)["label"]
        for line in (results / "graph-dataset" / "test.jsonl").open(encoding="utf-8")
    ]
    assert len(set(asked)) > 1


def test_k_bert_choices_study_compares_rankings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results, _ = run(
        tmp_path / "workspace",
        "k-bert-choices",
        f"graph={{source: native, path: {EXAMPLE.parent}}}",
        "stages.graph-dataset={fewest: 4, most: 20, dev: 0.2, test: 0.2}",
        "stages.embed={dim: 8, epochs: 1}",
        "stages.finetune.base={family: bert, hidden: 32, layers: 1, heads: 2}",
        f"stages.finetune.tokenizer={vocabulary(tmp_path / 'vocab.txt', example_characters())}",
        *of("finetune", TINY_FINETUNE),
    )
    assert arms(results) == {"graph", "rarest", "plausible", "similar"}
    choices.main(results)
    inserted = {
        line.split()[0]: float(line.split()[6].rstrip(","))
        for line in capsys.readouterr().out.splitlines()[1:-1]
    }
    assert inserted == dict.fromkeys(CHOICES, 1.0), "the example's people have no more than two triples"


def test_masking_of_names_is_compared_with_its_controls(tmp_path: Path) -> None:
    file = write_project(tmp_path / "project", "en")
    outcome = Kepipe(tmp_path / "workspace", file).run_here(
        "--until", "study",
        settings=("study={seeds: 2, controls: true, measure: {pretrain: final_held_out_loss}}",),
    )  # fmt: skip
    assert outcome.code == 0, outcome.errors
    results = tmp_path / "workspace" / "own-en"
    compared = ("graph-on", "graph-off", "graph-shuffled", "triples-as-text")
    assert arms(results) == set(compared)
    folders = ["pretrain", *(f"pretrain.{arm}.0" for arm in compared[1:])]
    told = [json.loads((results / folder / "kepipe.json").read_text()) for folder in folders]
    assert len({one["steps"] for one in told}) == 1
    assert [[its["method"] for its in one["config"]["knowledge"]] for one in told] == [
        ["ernie-baidu"], [], ["ernie-baidu"], ["triples-as-text"],
    ]  # fmt: skip


def test_ernie_graph_dataset_study_compares_its_arms(tmp_path: Path) -> None:
    results, _ = run(
        tmp_path / "workspace",
        "ernie-graph-dataset",
        f"graph={{source: native, path: {EXAMPLE.parent}}}",
        "stages.embed={dim: 8, epochs: 4}",
        "stages.graph-dataset={fewest: 4, most: 20, dev: 0.2, test: 0.2}",
        "stages.types={use: graph-dataset, ask: types, relations: [], fewest: 4, dev: 0.2, test: 0.2}",
        "stages.finetune.base={family: bert, hidden: 32, layers: 2, heads: 2}",
        "stages.finetune.knowledge={method: ernie-tsinghua, entity_heads: 2}",
        f"stages.finetune.tokenizer={vocabulary(tmp_path / 'vocab.txt', example_characters())}",
        *of("finetune", TINY_FINETUNE),
    )
    assert arms(results) == {"entities", "graph-off", "graph-shuffled", "names-only", "triples-as-text"}
    for stage, task in (("finetune", "classification"), ("typing", "typing")):
        told = json.loads((results / f"{stage}.entities.0" / "task.json").read_text())
        assert (told["task"], told["mentions"]) == (task, "data")
        assert folder.load(results / f"{stage}.entities.0").config.fusion is not None
        assert folder.load(results / f"{stage}.graph-off.0").config.fusion is None
    types = [json.loads(line)["types"] for line in (results / "types" / "train.jsonl").open(encoding="utf-8")]
    assert len({type for told in types for type in told}) > 1


def test_chinese_k_bert_study_runs(tmp_path: Path) -> None:
    classes = "label\ttext_a\n" + "1\t这家酒店很好\n0\t这家酒店很差\n1\t房间干净\n0\t房间很脏\n" * 20
    tags = "text_a\tlabel\n" + "患 者 头 痛\tO O B-症状 I-症状\n头 痛 三 天\tB-症状 I-症状 O O\n" * 20
    files = {name: tmp_path / name for name in ("hotels.tsv", "records.tsv", "words.spo", "medicine.spo")}
    for file, text in zip(
        files.values(), (classes, tags, "酒店\t是\t房屋\n房间\t在\t酒店\n", "头痛\t类别\t症状\n"), strict=True
    ):
        file.write_text(text, encoding="utf-8")
    hotels, records = files["hotels.tsv"], files["records.tsv"]
    characters = sorted(set(classes + tags + "是房屋在类别") - set("\t\n labeltx_"))
    results, _ = run(
        tmp_path / "workspace",
        "k-bert-zh",
        f"graph={{source: spo, path: {files['words.spo']}, valid: 0, test: 0}}",
        f"corpus={{source: folder, path: [{hotels}, {records}], held_out: 0.1}}",
        f"stages.medicine={{use: graph, source: spo, path: {files['medicine.spo']}, valid: 0, test: 0}}",
        f"stages.shards.tokenizer.from={vocabulary(tmp_path / 'vocab.txt', characters)}",
        "stages.pretrain.base={family: bert, hidden: 32, layers: 1, heads: 2}",
        *of("pretrain", TINY_PRETRAIN),
        f"stages.hotels.data={{train: {hotels}, test: {hotels}}}",
        f"stages.books.data={{train: {hotels}, test: {hotels}}}",
        f"stages.records.data={{train: {records}, test: {records}}}",
        *of("hotels", TINY_FINETUNE),
    )
    assert arms(results) == {"graph-on", "graph-off", "graph-shuffled", "names-only", "triples-as-text"}
    (record,) = json.loads((results / "hotels.graph-on.0" / "knowledge.json").read_text())["methods"]
    assert (record["method"], record["predicate"], record["length"]) == ("k-bert", True, 144)
    (record,) = json.loads((results / "records.graph-on.0" / "knowledge.json").read_text())["methods"]
    assert not record["predicate"]
    assert not (results / "records.graph-off.0" / "knowledge.json").exists()


def vocabulary(file: Path, tokens: list[str]) -> Path:
    """A `vocab.txt` of BERT's form."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    file.write_text("".join(f"{token}\n" for token in (*special, *tokens)), encoding="utf-8")
    return file


def example_characters() -> list[str]:
    letters = "abcdefghijklmnopqrstuvwxyz0123456789?,.:-"
    return [*letters, *(f"##{letter}" for letter in letters)]


def test_tuned_or_frozen_study_covers_every_family(tmp_path: Path) -> None:
    texts = write_task(tmp_path, "classification", 24, 16)
    results, _ = run(
        tmp_path / "workspace",
        "tuned-or-frozen",
        f"graph={{source: native, path: {EXAMPLE.parent}}}",
        f"corpus={{source: folder, path: {EXAMPLE.parent / 'texts'}, held_out: 0.3}}",
        *(f"stages.{shards}.tokenizer.size=1000" for shards in ("words", "characters", "pieces")),
        *(f"stages.bert.{name}" for name in ("steps=1", "batch_tokens=256")),
        f"stages.from-bert.data={json.dumps(texts)}",
        *(f"stages.from-bert.{name}" for name in TINY_FINETUNE),
        "study.measure={from-xlnet: [test/accuracy], from-glove: [test/accuracy]}",
        "study.repeat=[from-xlnet, from-glove]",
    )
    assert arms(results) == {"tuned", "frozen-mean", "frozen-first", "frozen-mixture"}
    study = json.loads((results / "study" / "study.json").read_text())
    assert {finding["measure"] for finding in study["findings"]} == {
        "from-xlnet/test/accuracy",
        "from-glove/test/accuracy",
    }


STAGES = ("citations", "diseases")


def test_static_and_contextual_study_covers_sizes_and_slices(tmp_path: Path) -> None:
    citations = write_task(tmp_path / "citations", "classification", 40, 24)
    diseases = write_task(tmp_path / "diseases", "tagging", 24, 16)
    sentences = {split: diseases[split] for split in ("train", "test")}
    small = f"{{from: {base_model(tmp_path / 'bert', layers=1).folder}}}"
    contextual = [f"minilm-{how}.{stage}" for how in ("mixture", "tuned") for stage in STAGES]
    results, _ = run(
        tmp_path / "workspace",
        "contextual",
        f"graph={{source: native, path: {EXAMPLE.parent}}}",
        f"corpus={{source: folder, path: {EXAMPLE.parent / 'texts'}, held_out: 0.3}}",
        "stages.shards.tokenizer.size=300",
        f"stages.citations.data={json.dumps({**citations, 'max_train': [12, 24]})}",
        f"stages.diseases.data={json.dumps({**sentences, 'max_train': [8, 16]})}",
        *(f"stages.{stage}.{name}" for stage in STAGES for name in TINY_FINETUNE),
        *(f"study.arms.{arm}.base={small}" for arm in contextual),
        *(f"study.arms.{arm}.epochs=1" for arm in contextual),
        "study.measure={citations: [test/accuracy, test/complex/accuracy], diseases: test/span_f1}",
    )
    assert arms(results) == {"drawn", "word2vec", "glove", "minilm-mixture", "minilm-tuned"}
    study = json.loads((results / "study" / "study.json").read_text())
    measures = {finding["measure"] for finding in study["findings"]}
    assert {
        "citations-12/test/accuracy",
        "citations-24/test/complex/accuracy",
        "diseases-8/test/span_f1",
    } <= measures
