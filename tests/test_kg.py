"""The library stands alone: it works where nothing of kepipe, spaCy, MLflow or transformers can be imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

ABSENT = {"kepipe", "spacy", "mlflow", "transformers", "typer", "rich", "pydantic", "dgl", "pykeen"}

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
import kg

for module in walk_packages(kg.__path__, "kg."):
    if module.name != "kg.shared_negatives":  # PyKEEN's classes, made larger
        import_module(module.name)

from kg.problems import Problems
from kg.search import find
from kg.sources.reading import Choices
from kg.sources.table import guess, read_source
from kg.statistics import measure
from kg.validation import validate
from kg.networkx_graph import write_graphml
from kg.view import ego_triples, render_ego
from kg.writer import GraphWriter

folder = Path(sys.argv[1])
writer = GraphWriter(folder / "graph")
source = folder / "g.tsv"
read_source(guess(source), source, writer, Problems(), lambda _: None, Choices())
graph = writer.finish()
(row,) = find(graph, "b")
print(measure(graph).degree_max, len(validate(graph)), b"<svg" in render_ego(graph, row, ego_triples(graph, row))[0])
write_graphml(graph, folder / "g.graphml")
try:
    from kg.embedding import Training, train
    train(graph, Training(), folder, 0)
except ModuleNotFoundError as missing:
    print(missing)
"""


def test_kg_works_without_kepipe_and_its_libraries(tmp_path: Path) -> None:
    (tmp_path / "g.tsv").write_text("a\tr\tb\nb\tr\tc\n")
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    first, second = process.stdout.splitlines()
    assert first.split() == ["2", "0", "True"]
    assert "pip install pykeen" in second
    assert (tmp_path / "g.graphml").is_file()
