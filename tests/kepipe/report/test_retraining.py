"""The retraining page: new text, and forgetting."""

from __future__ import annotations

from dataclasses import replace

from kepipe.data.document import Document, Mention
from kepipe.report.page import render
from kepipe.report.retraining import Coverage, Retraining, coverage_of, losses, retraining_page
from kepipe.studies.intervals import Estimate

FOUND = Retraining(
    {
        "documents": 100, "new_documents": 3, "changed_documents": 1, "gone_documents": 2, "entities": 50,
        "new_entities": 1, "gone_entities": 0, "new_triples": 4, "gone_triples": 0, "new_aliases": 2,
        "gone_aliases": 0,
    },
    ["<b>Hippocamp</b>"],
    ["voyager", "d7", "d8"],
    {"old text, before": Coverage(97, 1000, 120, 30, 4), "new text": Coverage(0, 0, 0, 0, 0)},
    {"mlm_loss/tokens": 3.0, "graph_quiz/mrr": 0.4},
    {
        "mlm_loss/tokens": Estimate(0.2, 0.1, 0.3, 80, 20),
        "graph_quiz/mrr": Estimate(-0.01, -0.05, 0.03, 60, 30),
    },
    "",
)  # fmt: skip


def test_retraining_headline_has_new_documents_and_worse_metrics() -> None:
    page = retraining_page(FOUND, "pretrain")
    assert page.headline == (
        "3 documents are new, 1 of them changed, 2 were removed; 1 entities, 4 triples and 2 names are new; it is "
        "worse on the earlier evaluation by mlm_loss/tokens"
    )
    html = render(page)
    assert "&lt;b&gt;Hippocamp" in html
    assert "120" in html
    assert "+0.200" in html


def test_forgetting_needs_an_interval_that_excludes_zero() -> None:
    assert losses(FOUND) == ["mlm_loss/tokens"]  # a loss that rose; the quiz's interval holds 0
    better = replace(FOUND, old={"mlm_loss/tokens": Estimate(-0.2, -0.3, -0.1, 80, 20)})
    assert losses(better) == []
    assert "it is not worse" in retraining_page(better, "pretrain").headline


def test_missing_comparison_is_explained() -> None:
    page = retraining_page(replace(FOUND, old={}, before={}, why="the evaluation is gone"), "pretrain")
    assert "forgetting was not measured: the evaluation is gone" in page.headline
    assert "Not measured: the evaluation is gone." in render(page)


def test_coverage_counts_mentions_entities_and_documents_without_any() -> None:
    documents = [
        Document(
            "a",
            "Io and Io and Mars",
            mentions=(Mention(0, 2, "io"), Mention(7, 9, "io"), Mention(14, 18, "mars")),
        ),
        Document("b", "nothing here"),
    ]
    assert coverage_of(documents) == Coverage(2, 7, 3, 2, 1)
