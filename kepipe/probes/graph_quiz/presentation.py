"""How the quiz is shown."""

from __future__ import annotations

from kepipe.probes.presentation import Details, Groups, Presentation, Verdict

NAME = "graph_quiz"
"""Of the probe in the scores."""
GROUP_NAMES = {"stated": "facts stated", "held_out": "facts held out", "rare": "rare entities"}


def _intro(details: Details) -> str:
    splits = {name: " and ".join(of) for name, of in details["splits"].items()}
    counts = ", ".join(f"{count:,} {GROUP_NAMES[name]}" for name, count in details["groups"].items())
    asked = f"{details['questions']:,} facts about {details['subjects']:,} entities"
    again = "" if details["cases"] == details["questions"] else f", {details['cases']:,} times in all"
    return (
        f"{asked} are asked for as sentences{again}, such as {_example(details)}: the object is to be found among "
        f"{details['options']:g} objects of its relation, on average. A model's (pseudo-)log-likelihood of an option "
        "orders them. No relation and no object dominates, and other true answers are no options. "
        f"Facts that training may have stated ({splits['stated']}) are told apart from those held out "
        f"({splits['held_out']}), and facts of rare entities, those with the fewest triples: {counts}."
    )


def _example(details: Details) -> str:
    most = max(details["relations"].values(), key=lambda relation: relation["questions"])
    return f"“{most['template']}”"


def _notes(details: Details) -> str:
    reasons = "; ".join(f"{count:,} {reason}" for reason, count in details["left_out"].items())
    return f"Facts not asked for: {reasons}." if reasons else ""


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
        "that the relation has most often in the facts stated; “name overlap” with the name that is most like that of "
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
        outcome=("The knowledge helped: ", "The knowledge did harm: "),
        explanation=(
            "In {cases} questions about {clusters} entities of the graph, {first} finds the right object in "
            "{first_value} and {second} in {second_value}: a difference of {difference} (95% interval {interval})."
        ),
        baseline=("most_frequent", "Answering with the relation's most frequent object"),
    ),
    alone="{arm} knows {accuracy} of what the graph quiz asks.",
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
