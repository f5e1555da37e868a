"""A new probe needs a class and a row: it is run, scored, compared, reported and drawn."""

import dataclasses

import numpy as np
import torch

from kepipe.data.batch import Batch
from kepipe.flow.stage import StageContext
from kepipe.probes.presentation import Presentation, Verdict
from kepipe.probes.table import PROBES, ProbeRow
from kepipe.report.evaluation import facts, sections
from kepipe.report.wording import verdict
from kepipe.stages.evaluate import EVALUATE, EvaluateConfig, EvaluateInputs
from kepipe.studies.cases import Cases, compare, summarise
from kepipe.studies.intervals import Estimate
from kepipe.studies.scores import Difference, Scores, read_scores


@dataclasses.dataclass(frozen=True)
class FirstWords:
    """The loss of the first token of each document without the rest, in nats."""

    firsts: np.ndarray
    tokenizer: object

    @property
    def steps(self):
        return len(self.firsts)

    def answer(self, model, tick):
        tokens = torch.tensor([[self.tokenizer.cls, self.tokenizer.mask, self.tokenizer.sep]])
        batch = Batch(
            tokens, torch.ones_like(tokens), torch.zeros_like(tokens), label_positions=torch.tensor([1])
        )
        losses_V = -model.masked_language_model.masked_logits(batch).log_softmax(-1)[0].double().numpy()
        tick(self.steps)
        return {"losses": losses_V[self.firsts]}

    def entities_given(self, model):
        return ()

    def score(self, answers, seed):
        return summarise(self._cases(answers), seed)

    def difference(self, first, second, seed):
        return compare(self._cases(first), self._cases(second), seed)

    def baselines(self, seed):
        even = np.full(len(self.firsts), np.log(self.tokenizer.vocab_size))
        return {"uniform": self.score({"losses": even}, seed)}

    def details(self):
        return {"documents": len(self.firsts)}

    def _cases(self, answers):
        return Cases({"nats": answers["losses"]}, np.arange(len(self.firsts)))


def make(held_out):
    encoded = [held_out.tokenizer.encode([document.text]) for document in held_out.documents]
    return FirstWords(np.array([each.tokens[0] for each in encoded]), held_out.tokenizer)


ROW = ProbeRow(
    "how likely the first word of a document is",
    ("masked-lm",),
    make,
    Presentation(
        anchor="first-words",
        title="First words",
        metrics={"nats": "nats"},
        deciding="nats",
        unit="nats",
        better="lower",
        intro=lambda details: f"The first words of {details['documents']} documents.",
        facts={"nats": "First words"},
        verdict=Verdict("guesses first words"),
    ),
)


def test_new_probe_needs_a_file_and_a_row(world, tmp_path, monkeypatch):
    monkeypatch.setitem(PROBES, "first-words", ROW)
    events = []
    context = StageContext(tmp_path / "out", tmp_path, 0, "cpu", events.append)
    context.out.mkdir()
    inputs = EvaluateInputs(world.arms, world.linked, world.graph, world.shards)
    EVALUATE.run(inputs, EvaluateConfig(context=48), context)
    scores = read_scores(context.out / "scores.json")
    assert scores.arms["control"]["first_words"]["nats"].cases == len(world.held_out)
    assert scores.differences[0].scores["first_words"]["nats"].clusters == len(world.held_out)
    notes = [event.message for event in events if hasattr(event, "message")]
    assert any(note.startswith("first words, pretrain − control: nats ") for note in notes)
    (section,) = [section for section in sections(scores, context.out) if section.name == "first-words"]
    assert section.title == "First words"
    text, figure, apart, table = section.blocks
    assert text.body == "The first words of 10 documents."
    assert "<svg" in figure.svg
    assert "<svg" in apart.svg
    assert [row[0] for row in table.rows[2:]] == ["uniform", "pretrain − control"]
    labels = [fact.label for fact in facts(scores)]
    assert labels[-2:] == ["First words, pretrain", "First words, control"]


def test_report_verdict_covers_a_new_probe(monkeypatch):
    monkeypatch.setitem(PROBES, "first-words", ROW)
    apart = Estimate(-0.2, -0.3, -0.1, 10, 10)
    scores = Scores({"a": {}, "b": {}}, (Difference("a", "b", {"first_words": {"nats": apart}}),), {}, {})
    assert verdict(scores) == "a guesses first words better than b: −0.200 nats."
