"""spaCy's own entity linking with a linker's knowledge base, and its results."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import spacy
from spacy.kb import InMemoryLookupKB
from spacy.tokens import Span
from spacy.training import Example

import kepipe.linking.spacy.component  # noqa: F401 (registers the component)
from kepipe.data.document import Mention
from kepipe.linking.linker import Linker
from kepipe.linking.spacy.knowledge_base import mentions_of, to_spacy_kb
from kg.store import Graph


@pytest.fixture(scope="module")
def linker(graph: Graph) -> Linker:
    return Linker.build(graph)


def test_the_spacy_kb_has_the_candidates_and_priors_of_the_lexicon(linker: Linker) -> None:
    kb = to_spacy_kb(linker, spacy.blank("en").vocab)
    lexicon, ids = linker.gazetteer.lexicon, linker.knowledge.ids
    assert set(kb.get_alias_strings()) == set(lexicon.names)
    assert set(kb.get_entity_strings()) == set(ids)
    for place, name in enumerate(lexicon.names):
        found = {candidate.entity_: candidate.prior_prob for candidate in kb.get_alias_candidates(name)}
        entries = slice(lexicon.name_starts[place], lexicon.name_starts[place + 1])
        rows, shares = lexicon.rows[entries].tolist(), lexicon.shares[entries].tolist()
        assert found == pytest.approx(
            {ids[row]: share for row, share in zip(rows, shares, strict=True)}, abs=1e-5
        )


def test_given_vectors_are_used_in_the_spacy_kb(linker: Linker) -> None:
    count = len(linker.knowledge.ids)
    own = np.arange(count * 3, dtype=np.float32).reshape(count, 3)
    kb = to_spacy_kb(linker, spacy.blank("en").vocab, own)
    assert kb.get_vector(linker.knowledge.ids[1]) == own[1].tolist()
    with pytest.raises(ValueError, match="give one for each"):
        to_spacy_kb(linker, spacy.blank("en").vocab, own[:1])


def test_spacy_entity_linker_trains_on_the_kb_and_its_links_are_read(linker: Linker) -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    trained = nlp.add_pipe("entity_linker", config={"incl_prior": True, "use_gold_ents": True})
    text = "We saw Omaha today."
    gold = nlp.make_doc(text)
    gold.ents = [Span(gold, 2, 3, label="GPE", kb_id="omaha")]
    gold[0].is_sent_start = True

    def load_kb(vocab: spacy.vocab.Vocab) -> InMemoryLookupKB:
        return to_spacy_kb(linker, vocab)

    trained.set_kb(load_kb)
    nlp.initialize(lambda: [Example(nlp.make_doc(text), gold)])
    doc = nlp.make_doc(text)
    doc.ents = [Span(doc, 2, 3, label="GPE")]
    for _, pipe in nlp.pipeline:
        doc = pipe(doc)
    assert mentions_of(doc) == (Mention(7, 12, "omaha"),)
    assert mentions_of(doc, known=["leeds"]) == ()


def test_a_saved_pipeline_links_in_another_process(linker: Linker, tmp_path: Path) -> None:
    linker.save(tmp_path / "linker")
    nlp = spacy.blank("en")
    nlp.add_pipe("kepipe_linker", config={"path": str(tmp_path / "linker"), "threshold": 0.1})
    nlp.to_disk(tmp_path / "pipeline")
    doc = nlp("They live in Omaha.")
    here = [(span.text, span.kb_id_) for span in doc.spans["kepipe"]]
    (tmp_path / "linker").rename(tmp_path / "gone")
    code = (
        "import sys, kepipe.linking.spacy.component, spacy; nlp = spacy.load(sys.argv[1]); "
        "doc = nlp('They live in Omaha.'); print([(span.text, span.kb_id_) for span in doc.spans['kepipe']])"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "pipeline")]
    process = subprocess.run(command, capture_output=True, text=True, check=True)
    assert here == [("Omaha", "omaha")]
    assert process.stdout.strip() == str(here)
