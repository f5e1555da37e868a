"""The PyKEEN models that `kg.embedding` can train: a table, since importing PyKEEN takes seconds."""

from __future__ import annotations

TRANSE = "TransE"

MODELS = (
    "AutoSF", "BoxE", "ComplEx", "ConvE", "ConvKB", "CP", "CrossE", "DistMA", "DistMult", "ERMLP", "ERMLPE", "HolE",
    "KG2E", "MuRE", "NTN", "PairRE", "ProjE", "QuatE", "RESCAL", "RGCN", "RotatE", "SE", "SimplE", "TorusE", "TransD",
    TRANSE, "TransF", "TransH", "TransR", "TuckER",
)  # fmt: skip
"""Models that are trained on triples only."""

UNFIT = (
    dict.fromkeys(("CompGCN", "NodePiece"), "it needs inverse triples")
    | dict.fromkeys(
        ("InductiveNodePiece", "InductiveNodePieceGNN"), "it needs two graphs; see `kg.inductive`"
    )
    | dict.fromkeys(
        ("ComplExLiteral", "DistMultLiteral", "DistMultLiteralGated"),
        "it needs numeric attributes of entities",
    )
    | dict.fromkeys(
        ("CooccurrenceFilteredModel", "FixedModel", "UM"), "it has no vectors of entities and relations"
    )
)
"""Models that cannot be trained here → the reason."""


def name_model(name: str) -> str:
    """A model's name as spelt by PyKEEN, ignoring case. Raises ValueError that lists the available models."""
    named = {model.lower(): model for model in (*MODELS, *UNFIT)}.get(name.lower())
    if named in MODELS:
        return named
    why = "PyKEEN has no model of this name" if named is None else UNFIT[named]
    raise ValueError(f"embedding model {name!r}: {why}; expected {', '.join(MODELS)}")


def fitting_width(model: str, dim: int) -> int:
    """`dim`, or the next larger one that the model supports: ConvE reshapes a vector to an image of at least 2 × 3."""
    while model == "ConvE" and not any(dim % height == 0 for height in range(2, dim // 3 + 1)):
        dim += 1
    return dim
