"""Conflicts in a pipeline file, reported with their line before any stage runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from kepipe.models.families import FAMILIES
from kepipe.objectives.contrastive.settings import OfFile
from kepipe.objectives.ernie2.labelled import PairLabelling
from kepipe.objectives.table import TABLE
from tests.support.conflicts import error_message


@pytest.mark.parametrize("objective", TABLE)
@pytest.mark.parametrize("family", FAMILIES)
def test_objective_requires_a_family_with_its_stacks(tmp_path: Path, family: str, objective: str) -> None:
    format = TABLE[objective].formats[0] if TABLE[objective].formats else "doc-sentences"
    dropout = ", dropout: 0.1" if objective == "simcse" else ""
    file = ", file: p.yaml" if issubclass(TABLE[objective].section, OfFile) else ""
    pretrain = (
        f"  pretrain:\n    base: {{family: {family}{dropout}}}\n    objective: {{name: {objective}{file}}}\n"
        f"    format: {format}\n"
    )
    message = error_message(tmp_path, f"  embed: {{}}\n{pretrain}")
    row = TABLE[objective]
    fits = FAMILIES[family].stacks == row.stack and family in (row.families or FAMILIES)
    if format == "dialogue" and family in ("roberta", "modernbert"):
        assert "set `segments: 2` in base" in message
        assert "set `tell_fakes: false`" in message
    elif family in ("roberta", "modernbert") and issubclass(TABLE[objective].section, PairLabelling):
        assert "set `segments: 2` in base, or where that is a trained model, start from one with 2" in message
    else:
        assert bool(message) != fits, message
    if not fits:
        assert message.startswith(f"{tmp_path}/p.yaml:6: `stages.pretrain.objective`: {objective} trains ")
        assert "set `objective: " in message
        assert "or `base: {family: " in message


@pytest.mark.parametrize(
    ("stages", "line", "message"),
    [
        ("  pretrain:\n    length: 600\n", 4, "base bert has 512 positions: set `length: 512`"),
        ("  pretrain:\n    objective: dlm\n", 3, "`stages.pretrain.format`: dlm does not learn"),
        (
            "  pretrain:\n    base: {fusion: {}}\n",
            4,
            "`stages.pretrain.base.fusion`: write `knowledge: {method: ernie-tsinghua}`",
        ),
        (
            "  pretrain:\n    knowledge: ernie-tsinghua\n    inputs: {vectors: null}\n",
            5,
            "ernie-tsinghua needs the vectors of a graph: give the stage that makes it",
        ),
        (
            "  pretrain:\n    base: {family: gpt2}\n    objective: causal-lm\n    knowledge: ernie-baidu\n",
            5,
            "causal-lm masks no units, which ernie-baidu chooses: set `objective: mlm`",
        ),
        (
            "  pretrain:\n    objective: unilm\n    knowledge: ernie-tsinghua\n",
            4,
            "set `objective: mlm`, or `denoising: false` in knowledge",
        ),
        (
            "  pretrain:\n    knowledge: [k-bert, ernie-tsinghua]\n",
            4,
            "k-bert moves tokens, but ernie-tsinghua predicts entities",
        ),
        (
            "  tune:\n    use: finetune\n    task: typing\n    knowledge: ernie-baidu\n    base: {from: minilm}\n",
            6,
            "`stages.tune.knowledge`: ernie-baidu chooses what pretraining masks: leave it out of other stages",
        ),
        ("  pretrain:\n    base: {hidden: 30, heads: 4}\n", 4, "hidden 30 is not a multiple of heads 4"),
        (
            "  shards: {tokenizer: {size: 400}}\n  pretrain:\n    base: {from: minilm}\n",
            5,
            "set `tokenizer: {from: minilm}` in `shards`",
        ),
        (
            "  shards: {tokenizer: {from: minilm}}\n  pretrain:\n    base: {from: minilm}\n    length: 900\n",
            6,
            "base minilm has 512 positions",
        ),
        ("  pretrain: {}\n  more:\n    like: pretrain\n    length: 600\n", 6, "`stages.more.length`: 600"),
        (
            "  pretrain:\n    base: {positions: 64}\n    length: 64\n"
            "  more:\n    use: pretrain\n    inputs: {start: pretrain}\n",
            6,
            "`stages.more.length`: 128 tokens, and base pretrain has 64 positions",
        ),
        (
            "  graph: {}\n  pretrain:\n    length: 300\n    knowledge: {method: k-bert, length: 256}\n",
            6,
            "set `knowledge: {length: 600}`",
        ),
        (
            "  graph: {}\n  pretrain:\n    knowledge: k-bert\n    base: {family: t5}\n"
            "    objective: span-corruption\n",
            7,
            "triples cannot be inserted: leave out `knowledge`",
        ),
        (
            "  graph: {}\n  pretrain:\n    knowledge: k-bert\n    objective: mass\n",
            6,
            "triples cannot be inserted: set `objective: mlm`",
        ),
        (
            "  pretrain:\n    objective: {name: mixture, of: [{objective: mlm}, {objective: mass}]}\n",
            4,
            "mlm and mass do not train the same stacks",
        ),
        (
            "  pretrain: {}\n  other: {use: shards, tokenizer: {kind: bpe}}\n"
            "  more:\n    use: pretrain\n    inputs: {start: pretrain, shards: other}\n",
            7,
            "set `inputs: {tokenizer: shards}` in `other`",
        ),
        ("  tune: {use: finetune, task: typing}\n", 3, "`stages.tune.data`: give the training data"),
        ("  tune: {use: finetune, task: typing}\n", 3, "`stages.tune.base`: give the model to start from"),
        (
            "  tune: {use: finetune, task: typing, base: {family: bert}, length: 600}\n",
            3,
            "`stages.tune.tokenizer`: a newly initialised base needs one",
        ),
        (
            "  tune: {use: finetune, task: typing, base: {from: minilm}, length: 600}\n",
            3,
            "`stages.tune.length`: 600 tokens, and the model has 512 positions",
        ),
        (
            "  tune: {use: finetune, task: typing, base: {from: minilm}, mentions: linker}\n",
            3,
            "set `inputs: {linked: link}`",
        ),
        ("  embed:\n    dim: 8\n    model: TransX\n", 5, "PyKEEN has no model of this name; expected AutoSF"),
        ("  embed:\n    model: NodePiece\n", 4, "it needs inverse triples; expected AutoSF"),
        (
            "  embed:\n    model: conve\n    dim: 7\n",
            5,
            "ConvE cannot reshape 7 numbers to a matrix: set `dim: 8`",
        ),
        ("  embed:\n    warm_start: .\n", 4, "holds no vectors (vectors.safetensors is missing)"),
        ("  pretrain: {}\n  evaluate:\n    probes: [perplexity]\n", 5, "`pretrain` cannot answer perplexity"),
        (
            "  graph: {}\n  pretrain: {base: {family: t5}, objective: span-corruption}\n"
            "  evaluate:\n    knowledge: k-bert\n",
            6,
            "`pretrain` continues texts, which k-bert does not support: its tree needs a decoder-only model (gpt2)",
        ),
        (
            "  embed: {}\n  pretrain: {base: {family: gpt2}, objective: causal-lm}\n"
            "  evaluate:\n    knowledge: ernie-tsinghua\n",
            6,
            "entities are fused in an encoder such as bert or roberta, not in gpt2",
        ),
        ("  pretrain: {}\n  evaluate:\n    reference: pretrian\n", 5, "did you mean `pretrain`"),
    ],
)
def test_conflict_is_reported_with_line_and_advice(
    tmp_path: Path, stages: str, line: int, message: str
) -> None:
    messages = error_message(tmp_path, stages).splitlines()
    assert any(
        one.startswith(f"{tmp_path}/p.yaml:{line}: `stages.") and message in one for one in messages
    ), messages


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        ("  source: csv\n", "5: `graph.source`: `source: csv` needs `path`: a table with a header"),
        ("  source: csv\n  path: .\n", "6: `graph.path`: {folder}: expected a file, found a folder"),
        (
            "  path: .\n  source: native\n",
            "5: `graph.path`: {folder}: expected a file of triples, or a folder",
        ),
    ],
)
def test_graph_without_its_files_is_reported(tmp_path: Path, graph: str, message: str) -> None:
    told = error_message(tmp_path, "  embed: {}\n", f"graph:\n{graph}")
    assert told.startswith(f"{tmp_path}/p.yaml:{message.format(folder=tmp_path)}")


def test_corpus_without_its_files_is_reported(tmp_path: Path) -> None:
    message = error_message(tmp_path, "  link: {}\n", "corpus:\n  source: folder\n")
    assert message.startswith(
        f"{tmp_path}/p.yaml:5: `corpus.source`: `source: folder` needs `path`: a folder of"
    )


def test_graph_error_in_a_stage_has_the_stages_line(tmp_path: Path) -> None:
    message = error_message(tmp_path, "  graph:\n    source: csv\n  embed: {}\n")
    assert message.startswith(f"{tmp_path}/p.yaml:4: `stages.graph.source`: `source: csv` needs `path`")


@pytest.mark.parametrize(
    ("base", "message"),
    [("fusion: {}", "`stages.pretrain.base.fusion`"), ("hidden: 30, heads: 4", "hidden 30")],
)
def test_base_error_is_reported_only_for_its_stage(tmp_path: Path, base: str, message: str) -> None:
    stages = (
        f"  pretrain: {{base: {{{base}}}}}\n"
        "  more: {use: pretrain, inputs: {start: pretrain}}\n"
        "  tune: {use: finetune, task: typing, data: {train: p.yaml}, inputs: {start: more}}\n"
        "  evaluate: {inputs: {arms: [pretrain, more]}}\n"
    )
    messages = error_message(tmp_path, stages).splitlines()
    assert len(messages) == 1, messages
    assert messages[0].startswith(f"{tmp_path}/p.yaml:3: `stages.pretrain.base")
    assert message in messages[0]


VECTORS = "  words: {use: pretrain, base: {family: glove}}\n"


def test_model_without_a_probe_cannot_be_evaluated_or_registered_alone(tmp_path: Path) -> None:
    message = error_message(tmp_path, VECTORS + "  evaluate: {}\n  register: {name: n}\n")
    assert "p.yaml:4: `stages.evaluate.inputs.arms`: words: no probe supports this kind of model" in message
    assert "p.yaml:5: `stages.register.inputs.model`: words: no probe" in message
    beside = VECTORS + "  ngram: {use: pretrain, base: {family: ngram}}\n  evaluate: {}\n"
    assert error_message(tmp_path, beside) == ""


def test_arms_of_an_evaluation_share_one_tokenizer(tmp_path: Path) -> None:
    stages = (
        "  shards: {tokenizer: {kind: bpe, size: 600}}\n  words: {use: shards, tokenizer: {kind: words, size: 400}}\n"
        "  pieces: {use: pretrain, inputs: {shards: shards}, base: {family: ngram}}\n"
        "  whole: {use: pretrain, inputs: {shards: words}, base: {family: ngram}}\n"
    )
    message = error_message(
        tmp_path, stages + "  evaluate: {inputs: {arms: [pieces, whole], shards: shards}}\n"
    )
    assert "`stages.evaluate.inputs.arms`: `whole` has another tokenizer than `shards`" in message
    assert error_message(tmp_path, stages + "  evaluate: {inputs: {arms: [whole], shards: words}}\n") == ""


def test_all_conflicts_are_reported_at_once(tmp_path: Path) -> None:
    stages = "  pretrain:\n    objective: mass\n  other:\n    use: pretrain\n    length: 9999\n"
    assert [one.split(": ")[1] for one in error_message(tmp_path, stages).splitlines()] == [
        "`stages.pretrain.objective`",
        "`stages.other.length`",
    ]


STUDY = """study:
  seeds: 2
  may_differ: [length]
  measure: {pretrain: final_held_out_loss}
  arms:
    short: {}
    long:
      pretrain:
        length: 600
"""


def test_conflict_of_an_arm_has_the_arms_line(tmp_path: Path) -> None:
    message = error_message(tmp_path, "  pretrain: {base: {positions: 128}}\n", STUDY)
    assert message.startswith(f"{tmp_path}/p.yaml:12: `study.arms.long.pretrain.length`: 600 tokens")
    assert len(message.splitlines()) == 1, "once, not for each seed"


def test_conflict_that_no_arm_has_is_not_reported(tmp_path: Path) -> None:
    """If every arm changes a stage, the stage itself does not run."""
    study = STUDY.replace("    short: {}\n", "    short: {pretrain: {length: 64}}\n").replace("600", "128")
    assert error_message(tmp_path, "  pretrain: {base: {positions: 128}, length: 256}\n", study) == ""
