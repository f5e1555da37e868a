"""Text-to-text: metrics, and generating models of each stack."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from kepipe.api.graphs import opened_graph
from kepipe.finetuning.fine_tuned import load
from kepipe.finetuning.predictor import Predictor
from kepipe.finetuning.text_metrics import measure_texts, words
from kepipe.finetuning.text_to_text import read
from kepipe.models import folder
from kepipe.models.networks.families import NETWORKS, build
from kepipe.stages.artifacts import Graph, Model
from kg.problems import Problems
from tests.support.conflicts import error_message
from tests.support.tasks import CITIES, base_model, finetune, tokenizer, write_task
from tests.support.toy_training import EventRecorder

PAIRS = [
    ("the cat sat on the mat today", "the cat sat on a mat"),
    ("Paris is the capital of France.", "Paris is the capital of France."),
    ("no idea at all about this", "the moon orbits the earth every month"),
]

SLOWLY = {"epochs": 16, "learning_rate": 2e-3, "batch_tokens": 256}
"""A decoder has to find out how to read its encoder first."""


def test_metrics_equal_those_of_the_libraries() -> None:
    answers, targets = zip(*PAIRS, strict=True)
    found = measure_texts(answers, [(target,) for target in targets])
    rouge = RougeScorer(["rouge1", "rouge2", "rougeL"])
    theirs = [rouge.score(target, answer) for answer, target in PAIRS]
    for ours, name in (("rouge_1", "rouge1"), ("rouge_2", "rouge2"), ("rouge_l", "rougeL")):
        assert found[ours].score == pytest.approx(np.mean([score[name].fmeasure for score in theirs]))
    assert found["bleu"].score == pytest.approx(BLEU().corpus_score(answers, [targets]).score / 100)
    assert found["chrf"].score == pytest.approx(CHRF().corpus_score(answers, [targets]).score / 100)
    assert found["exact_match"].score == pytest.approx(1 / 3)
    # cat sat on mat | cat sat on mat today; all; nothing
    assert found["token_f1"].score == pytest.approx((2 * 4 / 9 + 1 + 0) / 3)


def test_bleu_and_chrf_of_a_subset_use_summed_statistics() -> None:
    answers, targets = zip(*PAIRS, strict=True)
    found = measure_texts(answers, [(target,) for target in targets])
    for metric, scorer in ((found["bleu"], BLEU()), (found["chrf"], CHRF())):
        sums = np.stack([metric.columns[:2].sum(0), metric.columns[1:].sum(0)])
        expected = [
            scorer.corpus_score(answers[part], [targets[part]]).score / 100
            for part in (slice(0, 2), slice(1, 3))
        ]
        np.testing.assert_allclose(metric.value(sums), expected)


def test_chinese_is_compared_by_characters() -> None:
    assert words("北京2008年 Ann's") == ["北", "京", "2008", "年", "ann", "s"]
    found = measure_texts(["北京是首都"], [["北京是中国的首都"]])
    assert found["rouge_1"].score == pytest.approx(2 * 5 / 13)
    assert found["rouge_l"].score == pytest.approx(2 * 5 / 13)
    assert found["bleu"].score == pytest.approx(
        BLEU(tokenize="zh", effective_order=True).sentence_score("北京是首都", ["北京是中国的首都"]).score
        / 100
    )


def test_text_to_text_files_of_both_kinds_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("target\ttext\nb\ta\n\tc\n")
    (tmp_path / "a.jsonl").write_text('{"text": "a", "target": "b", "id": 7}\n{"text": "c", "target": " "}\n')
    for name, id in (("a.tsv", "a:2"), ("a.jsonl", "7")):
        problems = Problems()
        (example,) = read(tmp_path / name, problems)
        assert (example.id, example.text, example.labels) == (id, "a", ("b",))
        assert "`target` is empty" in problems.summary()


@pytest.mark.parametrize("family", ["gpt2", "t5", "bart", "bert"])
def test_generating_models_learn_the_task(tmp_path: Path, family: str) -> None:
    data = write_task(tmp_path / "data", "text-to-text")
    generation = {"max_new_tokens": 8, "num_beams": 2}
    changes: dict[str, Any] = {"label_smoothing": 0.1 if family == "bart" else 0.0, **SLOWLY}
    if family == "bert":
        changes["batch_tokens"] = 128  # an update learns only from the masked tokens
    start = base_model(tmp_path / "base", family)
    made = finetune(tmp_path / "stage", start, "text-to-text", data, generation=generation, **changes)
    scores = made.scores()["test"]
    assert scores["exact_match"].value > 0.9
    assert scores["bleu"].low is not None
    records = [json.loads(line) for line in (made.folder / "predictions.jsonl").read_text().splitlines()]
    assert {record["predicted"] for record in records} == {"we saw a lovely day", "the rain was long"}
    assert load(made.folder).spec.generation == load(made.folder).collator.answers.generation
    again = Predictor.open(made.folder).predict([record["text"] for record in records])
    assert [one["predicted"] for one in again] == [record["predicted"] for record in records]


def test_bert_learns_to_reverse_texts_of_any_length_and_ends_by_itself(tmp_path: Path) -> None:
    rng, data = np.random.default_rng(0), {}
    for split, count in {"train": 1200, "dev": 40, "test": 40}.items():
        rows = [rng.choice(CITIES, rng.integers(1, 5)).tolist() for _ in range(count)]
        file = tmp_path / f"{split}.tsv"
        file.write_text("text\ttarget\n" + "".join(f"{' '.join(r)}\t{' '.join(r[::-1])}\n" for r in rows))
        data[split] = str(file)
    start = base_model(tmp_path / "base", segments=6)
    settings: dict[str, Any] = {"generation": {"max_new_tokens": 12, "num_beams": 2}, "epochs": 20}
    made = finetune(tmp_path / "stage", start, "text-to-text", data, **settings)
    scores = made.scores()["test"]
    assert scores["exact_match"].value > 0.9, scores


def test_model_that_cannot_generate_is_rejected(tmp_path: Path) -> None:
    data = write_task(tmp_path / "data", "text-to-text", 20, 10)
    network = build(NETWORKS["lstm"].section.model_validate({"family": "lstm"}), tokenizer(), seed=1)
    tokenizer().save(tmp_path / "base")
    folder.save(tmp_path / "base", network, tokenizer=tmp_path / "base")
    with pytest.raises(ValueError, match="cannot generate text; bert, roberta, modernbert, gpt2, bart, t5, "):
        finetune(tmp_path / "stage", Model(tmp_path / "base", ""), "text-to-text", data)
    for family in ("bart", "bert"):
        start = base_model(tmp_path / family, family)
        with pytest.raises(ValueError, match="no head that could learn alone"):
            finetune(tmp_path / "head", start, "text-to-text", data, train="head")


@pytest.mark.parametrize("plain", [True, False])
def test_only_k_bert_is_supported_and_only_as_plain_text(tmp_path: Path, plain: bool) -> None:
    data = write_task(tmp_path / "data", "text-to-text", 20, 10)
    graph = tmp_path / "graph"
    (tmp_path / "triples.tsv").write_text("rain\tnear\toslo\n")
    with opened_graph(tmp_path) as opened:
        shutil.copytree(opened.folder, graph)
    knowledge = {"method": "k-bert", "max_branches": 1}
    knowledge |= {"soft_positions": False, "visible_matrix": False} if plain else {}
    options = {"knowledge": knowledge, "inputs": {"graph": Graph(graph, "")}, "epochs": 1}
    start = base_model(tmp_path / "base", "gpt2")
    if plain:
        made = finetune(
            tmp_path / "stage", start, "text-to-text", data, generation={"num_beams": 1}, **options
        )
        assert made.scores()["test"]["rouge_l"].value >= 0
    else:
        with pytest.raises(ValueError, match="supports no entity vectors"):
            finetune(tmp_path / "stage", start, "text-to-text", data, **options)


def test_truncated_answers_give_a_warning(tmp_path: Path) -> None:
    recorder = EventRecorder()
    data = write_task(tmp_path / "data", "text-to-text", 20, 10)
    start = base_model(tmp_path / "base", "gpt2")
    finetune(
        tmp_path / "stage", start, "text-to-text", data, recorder, generation={"max_new_tokens": 3}, epochs=1
    )
    assert "40 of 40 gold answers fill `max_new_tokens`" in recorder.notes()


def test_incompatible_text_to_text_settings_are_reported_first(tmp_path: Path) -> None:
    data = write_task(tmp_path / "data", "text-to-text", 8, 8)["train"]
    stage = f"use: finetune, base: {{from: minilm}}, data: {{train: {data}}}"
    network = f"use: finetune, base: {{family: lstm}}, tokenizer: minilm, data: {{train: {data}}}"
    assert "`stages.tune.task`: this model cannot generate text" in error_message(
        tmp_path, f"  tune: {{{network}, task: text-to-text}}\n"
    )
    assert "`stages.tune.generation.max_new_tokens`: `length: 448` and" in error_message(
        tmp_path,
        f"  tune: {{{stage}, task: text-to-text, length: 448, generation: {{max_new_tokens: 65}}}}\n",
    )
    gpt = "  pretrain: {base: {family: gpt2, positions: 64}, objective: causal-lm, format: packed, length: 64}\n"
    tune = "use: finetune, inputs: {start: pretrain}, task: text-to-text, length: 64"
    stages = f"  shards: {{tokenizer: {{kind: bpe}}}}\n{gpt}  tune: {{{tune}, data: {{train: {data}}}}}\n"
    assert "`stages.tune.generation.max_new_tokens`: `length: 64` and" in error_message(tmp_path, stages)
    assert "`label_smoothing` is of tasks with one label" in error_message(
        tmp_path, f"  tune: {{{stage}, task: typing, label_smoothing: 0.1}}\n"
    )
    assert "`generation` is of `task: text-to-text`: leave it out" in error_message(
        tmp_path, f"  tune: {{{stage}, task: classification, generation: {{num_beams: 2}}}}\n"
    )
