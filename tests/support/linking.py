"""Texts annotated by rules, and single features of their candidates."""

from kepipe.linking.features.describe import FEATURES
from kepipe.linking.linker import Linker
from kepipe.linking.text.annotations import Annotations
from kepipe.linking.text.annotators import RuleAnnotator


def annotate(text: str) -> Annotations:
    return next(iter(RuleAnnotator().annotate([text])))


def feature(
    linker: Linker, text: str, entity: str, name: str, annotation: Annotations | None = None
) -> float:
    matches, features, _ = linker.featurize(text, annotation or annotate(text))
    rows = [linker.knowledge.ids[row] for row in matches.rows.tolist()]
    return float(features[rows.index(entity), FEATURES.index(name)])
