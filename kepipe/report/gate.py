"""The page of a gate's decision: conditions, results and outcome."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kepipe.report.page import Fact, Page, Section, Table


def gate_page(
    version: str,
    outcome: str,
    why: str,
    conditions: Sequence[Sequence[str]],
    figures: Mapping[str, str],
    against: str,
) -> Page:
    """The page of a gate's decision. `conditions`: (name, result, reason) each. `figures`: metric → value of the new
    model, as text. `against`: the champion with which it was compared."""
    met = sum(stands == "met" for _, stands, _ in conditions)
    return Page(
        title=f"{version}: {outcome}",
        kicker="Gate",
        headline=f"{version}: {outcome}",
        lead=why,
        facts=(
            Fact("conditions met", f"{met} of {len(conditions)}"),
            Fact("champion before", against),
        ),
        sections=(
            Section(
                "conditions",
                "Conditions",
                (Table(("condition", "", "found"), tuple(tuple(row) for row in conditions)),),
            ),
            Section(
                "figures",
                "Figures of the new model",
                (Table(("figure", "value"), tuple(sorted(figures.items())), numbers=(1,)),),
            ),
        ),
    )
