"""ARPA files: exact round trip, agreement with other readers, located errors."""

from __future__ import annotations

import gzip
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from kepipe.models.ngram import arpa
from kepipe.models.ngram.counting import BOS
from kepipe.models.ngram.smoothing import SMOOTHINGS
from kepipe.models.ngram.vocabulary import SPECIAL
from kg.sources import reading
from tests.support.ngrams import estimated, stream, zipf

WORDS = [*SPECIAL, *(f"w{number}" for number in range(3, 40))]
SMALL = """\\data\\
ngram 1=4
ngram 2=2

\\1-grams:
-1.5 <unk>
-99 <s> -0.3
-0.5 </s>
-0.4 a -0.2

\\2-grams:
-0.1 <s> a
-0.2 a </s>

\\end\\
"""


def backed_off(entries: dict[tuple[str, ...], tuple[float, float]], words: list[str]) -> list[float]:
    """log10 p of each word after those before it, as Katz 1987 and the format have it, word by word."""

    def p(ngram: tuple[str, ...]) -> float:
        if ngram in entries or len(ngram) == 1:
            return entries[ngram][0]
        return entries.get(ngram[:-1], (0.0, 0.0))[1] + p(ngram[1:])

    order = max(map(len, entries))
    return [p(tuple(words[max(0, at - order + 1) : at + 1])) for at in range(1, len(words))]


def entries_of(text: str) -> dict[tuple[str, ...], tuple[float, float]]:
    found, order = {}, 0
    for line in text.splitlines():
        fields = line.split()
        if line.endswith("-grams:"):
            order = int(line[1])
        elif order and len(fields) > order:
            weight = float(fields[order + 1]) if len(fields) == order + 2 else 0.0
            found[tuple(fields[1 : order + 1])] = (float(fields[0]), weight)
    return found


@pytest.mark.parametrize("ending", ["arpa", "arpa.gz"])
@pytest.mark.parametrize("name", SMOOTHINGS)
def test_arpa_round_trips_bit_identically(name: str, ending: str, tmp_path: Path) -> None:
    tables = estimated(zipf(1, 90, 40), 40, 4, name, tmp_path, (0, 0, 1))
    file = tmp_path / f"model.{ending}"
    arpa.write(file, tables, WORDS)
    again, words = arpa.read(file)
    assert words == WORDS
    for column in ("keys", "log_probs", "weights"):
        for one, other in zip(getattr(tables, column), getattr(again, column), strict=True):
            assert np.array_equal(one, other)
    before = file.read_bytes()
    arpa.write(file, again, words)
    assert file.read_bytes() == before


@pytest.mark.parametrize("name", SMOOTHINGS)
def test_arpa_probabilities_equal_an_independent_reader(name: str, tmp_path: Path) -> None:
    tables = estimated(zipf(2, 90, 40), 40, 4, name, tmp_path, (0, 0, 1))
    arpa.write(tmp_path / "model.arpa", tables, WORDS)
    entries = entries_of((tmp_path / "model.arpa").read_text())
    for sentence in zipf(3, 40, 40):
        words = stream([sentence])
        expected = backed_off(entries, [WORDS[word] for word in words])
        assert tables.score(words)[1:] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", SMOOTHINGS)
def test_arpa_probabilities_equal_kenlm(name: str, tmp_path: Path) -> None:
    kenlm = pytest.importorskip("kenlm")
    tables = estimated(zipf(2, 200, 40), 40, 5, name, tmp_path, (0, 0, 1))
    arpa.write(tmp_path / "model.arpa", tables, WORDS)
    model = kenlm.Model(str(tmp_path / "model.arpa"))
    for sentence in zipf(3, 60, 42):
        words = np.where(stream([sentence]) < 40, stream([sentence]), 0)
        text = " ".join("unheard-of" if word == 0 else WORDS[word] for word in words[1:-1])
        theirs = [score for score, _, _ in model.full_scores(text)]
        assert tables.score(words)[1:] == pytest.approx(theirs, abs=1e-5)


@pytest.mark.parametrize("prune", [(0,), (0, 0, 1)])
@pytest.mark.parametrize(("order", "sentences"), [(5, 2000), (3, 2000), (3, 40)])
def test_estimates_equal_lmplz(order: int, sentences: int, prune: tuple[int, ...], tmp_path: Path) -> None:
    lmplz = shutil.which("lmplz")
    if lmplz is None:
        pytest.skip("KenLM's lmplz is not installed")
    text = [sentence for sentence in zipf(4, sentences, 40) if sentence]
    seen = sorted({word for sentence in text for word in sentence})
    names = {word: f"w{word}" for word in seen}
    lines = "".join(" ".join(names[word] for word in sentence) + "\n" for sentence in text)
    (tmp_path / "text").write_text(lines)
    options = ["-o", str(order), "--discount_fallback", "--prune", *map(str, prune)]
    done = subprocess.run(
        [lmplz, *options, "-S", "64M", "-T", str(tmp_path), "--text", str(tmp_path / "text")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    rows = {word: row for row, word in enumerate(seen, len(SPECIAL))}
    numbered = [[rows[word] for word in sentence] for sentence in text]
    words = [*SPECIAL, *names.values()]
    arpa.write(
        tmp_path / "ours.arpa", estimated(numbered, len(words), order, "kneser-ney", tmp_path, prune), words
    )
    ours, theirs = entries_of((tmp_path / "ours.arpa").read_text()), entries_of(done.stdout)
    theirs.pop(("<s>",)), ours.pop(("<s>",))  # its probability is never used
    assert ours.keys() == theirs.keys()
    for ngram, (log_prob, weight) in theirs.items():
        assert ours[ngram] == pytest.approx((log_prob, weight), abs=1e-5), ngram


def test_arpa_file_of_another_program_is_read(tmp_path: Path) -> None:
    (tmp_path / "m.arpa").write_text(SMALL)
    tables, words = arpa.read(tmp_path / "m.arpa")
    assert words == ["<unk>", "<s>", "</s>", "a"]
    a, end = 3, 2
    assert tables.score(np.array([BOS, a, a, end]))[1:] == pytest.approx([-0.1, -0.2 - 0.4, -0.2])


def test_non_ascii_white_space_is_part_of_a_word(tmp_path: Path) -> None:
    file = tmp_path / "m.arpa"
    file.write_text(SMALL.replace(" a", " a\u3000b"), encoding="utf-8")
    assert arpa.read(file)[1][3] == "a\u3000b"
    with pytest.raises(ValueError, match="'a b' has white space"):
        arpa.write(file, arpa.read(file)[0], [*SPECIAL, "a b"])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("ngram 2=2", "ngram 3=2", r"m.arpa:3: expected `ngram 2=` and a number"),
        ("-0.4 a -0.2", "0.4 a -0.2", r"m.arpa:9: expected log10 of a probability"),
        ("-0.4 a -0.2", "-0.4 a b -0.2", r"m.arpa:9: expected log10 p, 1 words"),
        ("-0.4 a -0.2", "x a -0.2", r"m.arpa:9: expected numbers around the words"),
        ("-0.4 a -0.2", "nan a -0.2", r"m.arpa:9: expected log10 of a probability"),
        ("-0.5 </s>", "-0.5 a", r"m.arpa:9: a occurs twice"),
        ("-0.2 a </s>", "-0.2 b </s>", r"m.arpa:13: b is not among the 1-grams"),
        ("-0.2 a </s>", "-0.2 <s> a", r"m.arpa:13: the n-gram occurs twice"),
        ("\n\\end\\\n", "", r"m.arpa:13: the file ends before"),
        ("\\2-grams:", "\\3-grams:", r"m.arpa:11: expected \\2-grams:"),
    ],
)
def test_arpa_errors_have_a_line_number(old: str, new: str, message: str, tmp_path: Path) -> None:
    assert old in SMALL
    (tmp_path / "m.arpa").write_text(SMALL.replace(old, new))
    with pytest.raises(ValueError, match=message):
        arpa.read(tmp_path / "m.arpa")


def test_missing_prefix_of_an_n_gram_is_reported(tmp_path: Path) -> None:
    longer = SMALL.replace("ngram 2=2", "ngram 2=2\nngram 3=1")
    longer = longer.replace("\\end\\", "\\3-grams:\n-0.1 a a </s>\n\n\\end\\")
    (tmp_path / "m.arpa").write_text(longer)
    with pytest.raises(ValueError, match=r"m.arpa:17: the first 2 words are not an n-gram of the model"):
        arpa.read(tmp_path / "m.arpa")


def test_truncated_gzip_file_is_reported(tmp_path: Path) -> None:
    whole = gzip.compress(SMALL.encode() * 50)
    (tmp_path / "m.arpa.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="the compressed data is damaged"):
        arpa.read(tmp_path / "m.arpa.gz")


def test_decompression_bombs_and_endless_lines_are_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "FREE", 1 << 20)
    (tmp_path / "bomb.arpa.gz").write_bytes(gzip.compress(bytes(1 << 20) + b"\n" * (3 << 20)))
    with pytest.raises(ValueError, match=r"bomb\.arpa\.gz: unpacks to more than 200 times its size"):
        arpa.read(tmp_path / "bomb.arpa.gz")
    (tmp_path / "long.arpa").write_bytes(b"\n" + bytes((1 << 20) + 1))
    with pytest.raises(ValueError, match=r"long\.arpa:2: a line of more than 1,048,576 bytes"):
        arpa.read(tmp_path / "long.arpa")
