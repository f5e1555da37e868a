"""The verdict claims exactly what the interval shows."""

import pytest

from kepipe.report.wording import between, cell, explanation, plain, signed, verdict
from kepipe.studies.intervals import Estimate
from kepipe.studies.scores import Difference, Scores


def told(value, low, high, clusters=12):
    return Estimate(value, low, high, 300, clusters)


def scores(apart, first=0.31, second=0.28, links=0.2):
    return Scores(
        {
            name: {"entity_cloze": {"mrr": told(value, 0, 1)}}
            for name, value in (("pretrain", first), ("control", second))
        },
        (Difference("pretrain", "control", {"entity_cloze": {"mrr": apart}}),),
        {"entity_cloze": {"links": {"mrr": told(links, 0, 1)}}},
    )


@pytest.mark.parametrize(
    ("apart", "expected"),
    [
        (
            told(0.03, 0.01, 0.05),
            "The knowledge helped: pretrain finds blanked entities better than control.",
        ),
        (
            told(-0.03, -0.05, -0.01),
            "The knowledge hurt: pretrain finds blanked entities worse than control.",
        ),
        (told(0.03, -0.01, 0.07), "No difference is shown"),
        (told(0.03, None, None, 3), "Not enough held-out text: 3 documents"),
    ],
)
def test_verdict_follows_the_interval(apart, expected):
    assert verdict(scores(apart)).startswith(expected)


def test_verdict_without_a_control():
    assert "without a control" in verdict(Scores({"pretrain": {}}))


def test_explanation_compares_with_the_baseline():
    above = explanation(scores(told(0.03, 0.01, 0.05)))
    assert "+0.030 (95% interval +0.010 to +0.050)" in above
    assert above.endswith("reaches 0.200.")
    assert explanation(scores(told(0.03, 0.01, 0.05), links=0.3)).endswith(
        "reaches 0.300, more than control."
    )
    assert explanation(scores(told(0.03, 0.01, 0.05), links=0.5)).endswith("more than either model.")


def test_numbers_are_formatted():
    assert [plain(v) for v in (0.3124, 12.34, 1234.5)] == ["0.312", "12.3", "1,234"]
    assert signed(-0.0041) == "−0.004"
    assert between(told(0, None, None, 2)) == "no interval: 2 independent cases"
    assert cell(told(0.5, 0.4, 0.6)) == '0.500 <span class="interval">0.400 to 0.600</span>'


def written(value, bits):
    return {"perplexity": {"word_perplexity": told(value, 0, 1), "bits_per_byte": told(bits, 0, 1)}}


def test_verdict_of_a_causal_model_is_its_perplexity():
    alone = {"pretrain": written(412.0, 2.6)}
    assert verdict(Scores(alone)) == (
        "pretrain has a perplexity of 412 per word on held-out text, 2.600 bits per byte."
    )
    strangers = {"masks": {"mlm_loss": {}}, **alone}
    assert verdict(Scores(strangers)).startswith("masks and pretrain were evaluated by different probes")


@pytest.mark.parametrize(
    ("apart", "expected"),
    [
        (told(-0.1, -0.2, -0.05), "pretrain predicts held-out text better than control: −0.100"),
        (told(0.1, 0.05, 0.2), "pretrain predicts held-out text worse than control: +0.100"),
        (told(0.1, -0.05, 0.2), "No difference is shown"),
    ],
)
def test_causal_models_are_compared_by_bits_per_byte(apart, expected):
    both = Scores(
        {"pretrain": written(400.0, 2.5), "control": written(420.0, 2.6)},
        (Difference("pretrain", "control", {"perplexity": {"bits_per_byte": apart}}),),
    )
    assert verdict(both).startswith(expected)
