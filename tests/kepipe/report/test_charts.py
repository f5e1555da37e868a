"""Charts: text stays text, colours are the page's variables, equal data gives equal bytes."""

import re
import warnings
from xml.etree import ElementTree

import pytest

from kepipe.report import charts
from kepipe.report.labels import width_of
from kepipe.studies.intervals import Estimate

DRAWN = {
    "curves": lambda: charts.curves({"a": ([0, 1, 2], [3, 2, 1]), "b": ([0, 1], [3, 1])}, "step", "loss"),
    "dots": lambda: charts.dots({"MRR": {"a": Estimate(0.3, 0.2, 0.4, 9, 9), "chance": 0.1}}, "score", ["a"]),
    "strips": lambda: charts.strips(
        {"on": ([0.2, 0.4], Estimate(0.3, 0.1, 0.5, 2, 2))}, "score", [0], zero=True
    ),
    "bars": lambda: charts.bars({"vectors": 0.3, "chance": 0.01}, "MRR"),
    "timeline": lambda: charts.timeline({"graph": (0, 3), "pretrain": (3, 200)}),
}


@pytest.mark.parametrize("kind", DRAWN)
def test_chart_is_one_svg_with_text_and_css_variables(kind):
    svg = DRAWN[kind]()
    assert svg == DRAWN[kind]()
    root = ElementTree.fromstring(svg)
    assert root.tag.endswith("svg")
    assert root.attrib["viewBox"]
    assert "width" not in root.attrib
    assert set(re.findall(r"var\((--[a-z]+)", svg)) <= {"--ink", "--muted", "--line", "--series"}
    words = " ".join("".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text"))
    expected = {
        "curves": "loss",
        "dots": "MRR",
        "strips": "score",
        "bars": "vectors",
        "timeline": "3 min 20 s",
    }[kind]
    assert expected in words


def test_charts_have_distinct_ids():
    ids = [set(re.findall(r'id="([^"]+)"', drawing())) for drawing in DRAWN.values()]
    shared = [a & b for a in ids for b in ids if a is not b]
    assert not any(shared), shared


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.42, "0.4 s"), (12.3, "12 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")]
)
def test_durations_in_words(seconds, words):
    assert charts.duration(seconds) == words


def test_running_mean_by_hand():
    assert charts.smooth([1, 2, 3, 4], 2) == [1, 1.5, 2.5, 3.5]
    assert charts.smooth([], 3) == []


TEXT = "{http://www.w3.org/2000/svg}text"
LABELS = (
    "US$ $\\frac", "$$", "$\\undefined{x}$", "100$ to 200$", "_hidden", "#fe0100", ' id="a"', "<svg onload=a>", "]]>",
)  # fmt: skip


@pytest.mark.parametrize("label", LABELS)
def test_labels_are_escaped_text(label):
    estimate = Estimate(0.3, 0.2, 0.4, 9, 9)
    drawn = (
        charts.curves({label: ([1, 2], [3, 4]), "b": ([1, 2], [2, 3])}, label, label),
        charts.dots({label: {label: 1.0, "b": estimate}}, label, [label]),
        charts.strips({label: ([0.2], estimate)}, label, [0]),
        charts.bars({label: 1.0, "b": 2.0}, label),
        charts.timeline({label: (0, 3), "b": (3, 4)}),
    )
    for svg in drawn:
        texts = ["".join(element.itertext()) for element in ElementTree.fromstring(svg).iter(TEXT)]
        assert label in [text.removeprefix("\u200b") for text in texts]


@pytest.mark.parametrize("label", ["\x00nul", "\x1b[31m", "\ud800", "a\x08b"])
def test_invalid_xml_characters_are_replaced(label):
    for svg in (
        charts.bars({label: 1.0}, label),
        charts.curves({label: ([1], [2]), "b": ([1], [2])}, label, "y"),
    ):
        assert "\ufffd" in "".join(ElementTree.fromstring(svg).itertext())


def test_matplotlib_settings_do_not_change_a_chart(monkeypatch):
    import matplotlib

    before = charts.bars({"a": 1.0}, "x")
    for name, value in {
        "text.usetex": True,
        "font.size": 30,
        "axes.grid": True,
        "text.parse_math": True,
    }.items():
        monkeypatch.setitem(matplotlib.rcParams, name, value)
    assert charts.bars({"a": 1.0}, "x") == before


@pytest.mark.parametrize("many", [2, 5, 9])
def test_legend_of_many_arms_fits_into_the_chart(many):
    names = [f"kneser-ney-{number} − kneser-ney" for number in range(many)]
    rows = {"tokens": {name: Estimate(0.3, 0.2, 0.4, 9, 9) for name in names}}
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # matplotlib's, of axes for which no room is left
        svg = charts.dots(rows, "loss", names)
    width = float(ElementTree.fromstring(svg).attrib["viewBox"].split()[2])
    texts = [text for text in ElementTree.fromstring(svg).iter() if text.tag.endswith("}text")]
    ends = [
        float(text.attrib["x"]) + 5.5 * len(text.text or "") for text in texts if (text.text or "") in names
    ]
    assert len(ends) == many
    assert max(ends) < width
    heights = set(re.findall(r'<use [^>]*y="([\d.]+)"[^>]*fill: var\(--series', svg))
    assert len(heights) >= many


SENTENCE = (
    "knowledge from triples of relations between entities that were linked by their names and contexts. "
)
LONG = {
    "words": SENTENCE * 3,
    "Chinese": "用实体链接得到的知识图谱三元组训练的语言模型" * 10,
    "one-word": "knowledge_" * 20,
}


def with_labels(kind, text, length):
    """A chart of each kind with three labels, which differ in their last character only."""
    first, *others = names = [f"{text[: length - 1]}{number}" for number in range(3)]
    estimate = Estimate(0.3, 0.2, 0.4, 9, 9)
    return {
        "curves": lambda: charts.curves({name: ([0, 1], [3, 2]) for name in names}, first, first),
        "dots": lambda: charts.dots({n: {first: estimate, others[0]: 0.1} for n in names}, first, [first]),
        "strips": lambda: charts.strips({n: ([0.2, 0.4], estimate) for n in names}, first, [0, 1, -1]),
        "bars": lambda: charts.bars(dict.fromkeys(names, 1234.0), first),
        "timeline": lambda: charts.timeline(dict.fromkeys(names, (3, 200))),
    }[kind]()


@pytest.mark.parametrize("kind", DRAWN)
@pytest.mark.parametrize("script", LONG)
@pytest.mark.parametrize("length", [10, 40, 60, 200])
def test_labels_of_any_length_leave_room_for_the_chart(kind, script, length):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # matplotlib's, of axes without room and of missing glyphs
        svg = with_labels(kind, LONG[script], length)
    texts = ["".join(text.itertext()) for text in ElementTree.fromstring(svg).iter(TEXT)]
    assert max(map(width_of, texts)) <= 60
    for number in range(3 if kind in ("strips", "bars", "timeline") else 2):
        assert any(text.endswith(str(number)) for text in texts if text[-1:].isdigit() and len(text) > 5)


@pytest.mark.parametrize("kind", DRAWN)
@pytest.mark.parametrize("script", LONG)
def test_full_text_of_a_shortened_label_is_its_title(kind, script):
    svg = with_labels(kind, LONG[script], 200)
    titles = {title.text for title in ElementTree.fromstring(svg).iter(TEXT.replace("text", "title"))}
    assert f"{LONG[script][:199]}0" in titles


def test_label_that_is_shown_whole_has_no_title():
    assert "<title>" not in charts.bars({"vectors": 0.3, SENTENCE[:50]: 0.01}, "MRR")


def test_two_series_whose_shortened_names_are_equal_are_both_in_the_legend():
    names = [f"{'a' * 100}{middle}{'b' * 100}" for middle in "xy"]
    svg = charts.dots({"MRR": {name: Estimate(0.3, 0.2, 0.4, 9, 9) for name in names}}, "score", names)
    assert svg.count(f"<title>{names[0]}") == svg.count(f"<title>{names[1]}") == 1
