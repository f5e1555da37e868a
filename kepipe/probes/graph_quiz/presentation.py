"""Presentation of the quiz."""

from __future__ import annotations

from collections.abc import Iterator

from kepipe.probes.presentation import Details, Groups, Presentation, Verdict
from kepipe.studies.scores import Metrics, Scores

NAME = "graph_quiz"
"""The name of the probe in the scores."""
GROUP_NAMES = {"stated": "stated facts", "held_out": "held-out facts", "rare": "rare entities"}


def headlines(name: str, presentation: Presentation, scores: Scores) -> Iterator[str]:
    """For the console: accuracy of each arm on stated and held-out facts, and of the baselines that ignore the
    entity."""
    baselines = {presentation.baselines[of]: scores.baselines[name][of] for of in ("most_frequent", "chance")}
    arms = {arm: measured[name] for arm, measured in scores.arms.items() if name in measured}
    width = max(map(len, [*arms, *baselines]))
    yield "graph quiz: accuracy on stated and on held-out facts"
    for who, metrics in {**arms, **baselines}.items():
        yield f"  {who:{width}}  {_figure(metrics, 'stated')}  {_figure(metrics, 'held_out')}"


def _figure(metrics: Metrics, group: str) -> str:
    accuracy = metrics.get(f"accuracy_{group}")
    return "  – " if accuracy is None else f"{accuracy.value:.2f}"


def _intro(details: Details) -> str:
    splits = {name: " and ".join(of) for name, of in details["splits"].items()}
    counts = ", ".join(f"{count:,} {GROUP_NAMES[name]}" for name, count in details["groups"].items())
    asked = f"{details['questions']:,} facts about {details['subjects']:,} entities"
    again = "" if details["cases"] == details["questions"] else f", {details['cases']:,} times in all"
    return (
        f"{asked} are turned into sentences{again}, such as {_example(details)}: the object has to be chosen from "
        f"{details['options']:g} objects of the relation, on average. A model chooses the option with the highest "
        "(pseudo-)log-likelihood. Relations and objects are balanced, and other true answers are not among the "
        f"options. Facts that may be in the training data ({splits['stated']}) are distinguished from held-out ones "
        f"({splits['held_out']}), and facts of rare entities, those with the fewest triples: {counts}."
    )


def _example(details: Details) -> str:
    most = max(details["relations"].values(), key=lambda relation: relation["questions"])
    return f"“{most['template']}”"


def _notes(details: Details) -> str:
    reasons = "; ".join(f"{count:,} {reason}" for reason, count in details["left_out"].items())
    return f"Excluded facts: {reasons}." if reasons else ""


PRESENTATION = Presentation(
    anchor="quiz",
    title="Graph quiz",
    metrics={
        "accuracy": "Accuracy",
        "accuracy_stated": "stated",
        "accuracy_held_out": "held out",
        "accuracy_rare": "rare",
        "mrr": "MRR",
        "consistency": "Consistency",
    },
    deciding="accuracy",
    unit="accuracy",
    better="higher",
    intro=_intro,
    cases="questions",
    notes=_notes,
    drawn=("accuracy", "accuracy_stated", "accuracy_held_out", "accuracy_rare"),
    caption=(
        "Accuracy with 95% intervals, which resample the entities asked about. “Most frequent” answers with the object "
        "that the relation has most often in the stated facts; “name overlap” with the name most similar to that of "
        "the entity asked about."
    ),
    baselines={
        "most_frequent": "most frequent",
        "name_overlap": "name overlap",
        "vectors": "graph's vectors",
        "chance": "chance",
    },
    facts={"accuracy": "Quiz accuracy"},
    compared_fact="Quiz accuracy",
    verdict=Verdict(
        ability="knows the graph",
        outcome=("The knowledge helped: ", "The knowledge hurt: "),
        explanation=(
            "In {cases} questions about {clusters} entities of the graph, {first} finds the right object in "
            "{first_value} and {second} in {second_value}: a difference of {difference} (95% interval {interval})."
        ),
        baseline=("most_frequent", "Answering with the relation's most frequent object"),
    ),
    alone="{arm} answers {accuracy} of the graph quiz correctly.",
    groups=Groups(
        prefix="by_relation",
        heading="Relation",
        caption="Accuracy by relation",
        metric="accuracy",
        details="relations",
        columns={"label": "Label", "questions": "Questions", "options": "Options"},
        baseline="most_frequent",
    ),
    examples="quiz.jsonl",
)
