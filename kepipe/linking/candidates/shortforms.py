"""Persons called by their last name after they were named in full: "Samuel Beckett … Beckett"."""

from __future__ import annotations

import numpy as np

from kepipe.linking.candidates.matches import Matches
from kepipe.linking.text.batch import TextBatch

SHORT_PRIOR = 0.5
"""p(entity | name) of who was named in full, where the last name is a name of others in the graph."""
MIN_LENGTH = 3


def add_short_forms(batch: TextBatch, matches: Matches) -> Matches:
    """The matches of a batch, and the last names of persons whom NER saw and the graph has under a longer name before.

    A last name that the graph has too keeps its candidates, which share what `SHORT_PRIOR` leaves. Without NER
    nothing is added: the last word of "New York" is no short form.
    """
    added = _last_names(batch, matches)
    if not added:
        return matches
    known = list(zip(matches.starts.tolist(), matches.ends.tolist(), strict=True))
    spans = sorted({*known, *added})
    place = {span: number for number, span in enumerate(spans)}
    moved = np.asarray([place[span] for span in known], np.int64)
    owners = moved[matches.owners]
    shared = np.asarray([span in added for span in spans])[owners]
    new_owners = np.asarray([place[span] for span in added], np.int64)
    alone = ~np.isin(new_owners, owners)
    new_rows = np.asarray(list(added.values()), np.int64)
    twice = np.isin(owners * (1 << 40) + matches.rows, new_owners * (1 << 40) + new_rows)
    priors = np.where(shared, matches.priors * (1 - SHORT_PRIOR), matches.priors)
    owners = np.concatenate((owners[~twice], new_owners))
    rows = np.concatenate((matches.rows[~twice], new_rows))
    priors = np.concatenate((priors[~twice], np.where(alone, 1.0, SHORT_PRIOR)))
    labels = np.concatenate((matches.labels[~twice], np.zeros(len(new_rows), bool)))
    short = np.concatenate((matches.short[~twice], np.ones(len(new_rows), bool)))
    order = np.lexsort((-priors, owners))
    surfaces = dict(zip(known, matches.surfaces, strict=True))
    starts, ends = np.asarray(spans, np.int64).T
    return Matches(
        starts,
        ends,
        [surfaces.get(span, batch.text[slice(*span)]) for span in spans],
        owners[order],
        rows[order],
        priors[order],
        labels[order],
        short[order],
    )


def _last_names(batch: TextBatch, matches: Matches) -> dict[tuple[int, int], int]:
    """Where each last name stands alone, and the row of the latest person before, in its text, who has it."""
    if not any(annotation.names for annotation in batch.annotations):
        return {}
    rows = matches.rows[matches.bounds[:-1]].tolist()
    full = dict(zip(zip(matches.starts.tolist(), matches.ends.tolist(), strict=True), rows, strict=True))
    last_names: dict[tuple[int, int], int] = {}
    for begin, annotation in zip(batch.begins.tolist(), batch.annotations, strict=False):
        called: dict[str, int] = {}
        for name in annotation.names or ():
            start, end = name.start + begin, name.end + begin
            words = batch.text[start:end].split()
            if name.label != "PERSON" or not words:
                continue
            if len(words) > 1:
                if (row := full.get((start, end))) is not None and len(words[-1]) >= MIN_LENGTH:
                    called[words[-1]] = row
                else:
                    called.pop(words[-1], None)  # another of that name, whom the graph does not have
            elif words[0] in called:
                last_names[start, end] = called[words[0]]
    return last_names
