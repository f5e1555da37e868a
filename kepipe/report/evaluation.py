"""The part of a report that shows an evaluation: the cloze, by type, the held-out loss, and single cases."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from kepipe.report import charts
from kepipe.report.page import Block, Fact, Figure, Quotes, Section, Table, Text
from kepipe.report.wording import (
    Scores,
    arms,
    between,
    cell,
    differences,
    estimate,
    pair,
    plain,
    signed,
    swatch,
)

METRICS = {"mrr": "MRR", "hits@1": "Hits@1", "hits@10": "Hits@10"}
WRITING = {
    "token_perplexity": "perplexity per token",
    "word_perplexity": "per word",
    "bits_per_byte": "bits per byte",
}
BASELINES = {"links": "by links", "chance": "at random", "unigram": "unigram"}
SOURCES = {"gold": "links given with the text", "linked": "mentions the linker is sure of"}


def facts(scores: Scores) -> tuple[Fact, ...]:
    """The numbers at the head of the page."""
    found = []
    for number, arm in enumerate(arms(scores)):
        if told := scores[arm].get("entity_cloze"):
            mrr = estimate(told["mrr"])
            found.append(Fact(f"Cloze MRR, {arm}", plain(mrr.value), f"95%: {between(mrr)}", number))
    for name, told in scores["differences"].items():
        if "entity_cloze" in told:
            apart = estimate(told["entity_cloze"]["mrr"])
            found.append(Fact(name, signed(apart.value), f"95%: {between(apart, sign=True)}"))
    for pair_of, told in list(differences(scores, "mlm_loss").items())[:1]:
        apart = estimate(told["tokens"])
        found.append(Fact(f"Held-out loss, {pair_of}", signed(apart.value), "nats a token; less is better"))
    for number, arm in enumerate(arms(scores)):
        if told := scores[arm].get("perplexity"):
            words, bits = estimate(told["word_perplexity"]), estimate(told["bits_per_byte"])
            found.append(
                Fact(f"Perplexity per word, {arm}", plain(words.value), f"95%: {between(words)}", number)
            )
            found.append(Fact(f"Bits per byte, {arm}", plain(bits.value), f"95%: {between(bits)}", number))
    return tuple(found)


def cloze(scores: Scores) -> Section:
    """Ranks of blanked entities: arms, baselines, differences, types."""
    names, about = arms(scores, "entity_cloze"), scores["about"]["entity_cloze"]
    baselines = scores["baselines"]["entity_cloze"]
    rows = {
        label: {arm: estimate(scores[arm]["entity_cloze"][metric]) for arm in names}
        | {BASELINES[name]: told[metric]["value"] for name, told in baselines.items()}
        for metric, label in METRICS.items()
    }
    kinds = ", ".join(
        f"{told['cases']} of type {type} among {told['candidates']}" for type, told in about["types"].items()
    )
    blocks: list[Block] = [
        Text(
            f"One mention in a held-out document is blanked, and every entity of its type is tried in the blank; the "
            f"model's mean log-probability for the words of an entity's label orders them. {about['cases']} blanks in "
            f"{about['documents']} documents ({SOURCES[about['mentions']]}): {kinds}. A name that stands elsewhere in "
            "the window is not asked for. All arms get the same blanks and candidates."
        ),
        Figure(
            charts.dots(rows, "score, higher is better", names),
            "Scores with 95% intervals, which resample documents. “By links” orders candidates by how often the "
            "training text links them and does not read the sentence.",
        ),
    ]
    if compared := differences(scores, "entity_cloze"):
        apart = {
            label: {name: estimate(told[metric]) for name, told in compared.items()}
            for metric, label in METRICS.items()
        }
        caption = (
            "Paired differences on the same blanks. An interval that crosses 0 shows no effect. MRR decides."
        )
        blocks.append(Figure(charts.dots(apart, "difference", list(compared), zero=True), caption))
    blocks += [_cloze_table(scores), _by_type(scores), *_shown(scores, "entity_cloze", "blanks")]
    if about["left_out"]:
        reasons = "; ".join(f"{count:,} {reason}" for reason, count in about["left_out"].items())
        blocks.append(Text(f"Mentions not asked for: {reasons}.", quiet=True))
    return Section("cloze", "Entity cloze", tuple(blocks))


def _cloze_table(scores: Scores) -> Table:
    rows: list[tuple[Any, ...]] = []
    for number, arm in enumerate(arms(scores, "entity_cloze")):
        rows.append((swatch(arm, number), *(cell(scores[arm]["entity_cloze"][metric]) for metric in METRICS)))
    for name, told in scores["baselines"]["entity_cloze"].items():
        rows.append((BASELINES[name], *(plain(told[metric]["value"]) for metric in METRICS)))
    for name, told in differences(scores, "entity_cloze").items():
        rows.append((name, *(cell(told[metric], sign=True) for metric in METRICS)))
    return Table(("", *METRICS.values()), tuple(rows), numbers=(1, 2, 3))


def _by_type(scores: Scores) -> Table:
    names = arms(scores, "entity_cloze")
    rows = []
    for type, told in scores["about"]["entity_cloze"]["types"].items():
        values = [cell(scores[arm]["entity_cloze"]["by_type"][type]["mrr"]) for arm in names]
        links = scores["baselines"]["entity_cloze"]["links"]["by_type"][type]["mrr"]["value"]
        rows.append((type, told["cases"], told["candidates"], *values, plain(links)))
    head = ("Type", "Blanks", "Candidates", *(f"MRR, {arm}" for arm in names), "by links")
    return Table(head, tuple(rows), "MRR by type of entity", tuple(range(1, len(head))))


def loss(scores: Scores) -> Section:
    """Held-out loss at blanked tokens, phrases and mentions."""
    names, compared = arms(scores, "mlm_loss"), differences(scores, "mlm_loss")
    tests = list(scores[names[0]]["mlm_loss"])
    unigram = scores["baselines"]["mlm_loss"]["unigram"]
    rows = {test: {arm: estimate(scores[arm]["mlm_loss"][test]) for arm in names} for test in tests}
    table = [
        (
            test,
            f"{scores[names[0]]['mlm_loss'][test]['cases']:,}",
            *(cell(scores[arm]["mlm_loss"][test]) for arm in names),
            plain(unigram[test]["value"]),
            *(cell(told[test], sign=True) for told in compared.values()),
        )
        for test in tests
    ]
    head = ("Blanked", "Places", *names, "unigram", *compared)
    return Section(
        "loss",
        "Held-out loss",
        (
            Text(
                "The same places of held-out text are blanked for every arm: single tokens as BERT does, whole "
                "phrases, whole mentions of entities. Token masking trains the first, knowledge masking the others."
            ),
            Figure(
                charts.dots(rows, "cross-entropy in nats, less is better", names, from_zero=False),
                "Loss with 95% intervals.",
            ),
            Table(head, tuple(table), numbers=tuple(range(1, len(head)))),
            *_shown(scores, "mlm_loss", "tests"),
        ),
    )


def _shown(scores: Scores, probe: str, together: str) -> tuple[Text, ...]:
    """Of how many mentions arms get a vector with the text: counted over all of `together`, what the probe asks."""
    told = scores["about"][probe].get("shown", {})
    counts = ", ".join(
        f"{of['with_vector']:,} of {of['mentions']:,} mentions ({arm})" for arm, of in told.items()
    )
    said = f"Given with the text, all {together} together: vectors of {counts}. Arms not named read the text alone."
    return (Text(said),) if told else ()


def writing(scores: Scores) -> Section:
    """How well models that generate go on with held-out text."""
    names, compared = arms(scores, "perplexity"), differences(scores, "perplexity")
    about, unigram = scores["about"]["perplexity"], scores["baselines"]["perplexity"]["unigram"]
    rows: list[tuple[Any, ...]] = [
        (swatch(arm, number), *(cell(scores[arm]["perplexity"][metric]) for metric in WRITING))
        for number, arm in enumerate(names)
    ]
    rows.append(("unigram", *(plain(unigram[metric]["value"]) for metric in WRITING)))
    rows += [(name, "", "", cell(told["bits_per_byte"], sign=True)) for name, told in compared.items()]
    bits = {"bits per byte": {arm: estimate(scores[arm]["perplexity"]["bits_per_byte"]) for arm in names}}
    return Section(
        "writing",
        "Going on with held-out text",
        (
            Text(
                f"{about['tokens']:,} tokens ({about['words']:,} words, {about['bytes']:,} bytes) of "
                f"{about['documents']} held-out documents, in {about['stretches']:,} stretches; each is scored after "
                "the stretch before it. A perplexity per token depends on the vocabulary; per word and per byte, "
                "models of different vocabularies compare. “Unigram” knows each token's frequency and nothing of "
                "what stands before."
            ),
            Figure(
                charts.dots(bits, "bits per byte, less is better", names, from_zero=False),
                "With 95% intervals, which resample documents.",
            ),
            Table(("", *WRITING.values()), tuple(rows), numbers=(1, 2, 3)),
        ),
    )


def examples(folder: Path, scores: Scores, most: int = 4) -> Section | None:
    """Blanks on which the arms differ most, in both directions."""
    told, file = pair(scores), folder / "clozes.jsonl"
    if told is None or not file.exists() or not differences(scores, "entity_cloze"):
        return None
    cases = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    blocks: list[Block] = []
    for better, worse in (told, told[::-1]):
        gained = sorted(cases, key=lambda case: 1 / case["ranks"][worse] - 1 / case["ranks"][better])
        items = tuple(_example(case, told) for case in _apart(gained, better, worse, most))
        won = sum(case["ranks"][better] < case["ranks"][worse] for case in cases)
        blocks.append(
            Text(f"{better} ranks the true entity higher than {worse} in {won} of {len(cases)} blanks.")
        )
        if items:
            blocks.append(Quotes(items))
    return Section("examples", "Where the arms differ", tuple(blocks))


def _apart(
    cases: Sequence[Mapping[str, Any]], better: str, worse: str, most: int
) -> Iterator[Mapping[str, Any]]:
    """The first cases that `better` truly ranks higher, each entity once."""
    seen: set[str] = set()
    for case in cases:
        if len(seen) == most or case["ranks"][better] >= case["ranks"][worse]:
            return
        if case["entity"] not in seen:
            seen.add(case["entity"])
            yield case


def _example(case: Mapping[str, Any], order: Sequence[str]) -> tuple[str, str, str]:
    before, after = (" ".join(case[side].split()) for side in ("before", "after"))
    gaps = (" " if case["before"][-1:].isspace() else "", " " if case["after"][:1].isspace() else "")
    passage = Markup('{}{}<span class="blank">{}</span>{}{}').format(
        before, gaps[0], case["label"], gaps[1], after
    )
    ranks = " · ".join(f"{arm}: rank {case['ranks'][arm]:g}" for arm in order)
    return (
        f"{case['title'] or case['document']} · {case['type']}",
        passage,
        f"{ranks} of {case['candidates']}",
    )
