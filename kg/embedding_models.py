"""Which of PyKEEN's models can be trained by `kg.embedding`: a table, since PyKEEN itself takes seconds to import."""

from __future__ import annotations

TRANSE = "TransE"

MODELS = (
    "AutoSF", "BoxE", "ComplEx", "ConvE", "ConvKB", "CP", "CrossE", "DistMA", "DistMult", "ERMLP", "ERMLPE", "HolE",
    "KG2E", "MuRE", "NTN", "PairRE", "ProjE", "QuatE", "RESCAL", "RGCN", "RotatE", "SE", "SimplE", "TorusE", "TransD",
    TRANSE, "TransF", "TransH", "TransR", "TuckER",
)  # fmt: skip
"""Those that are trained on triples alone."""

UNFIT = (
    dict.fromkeys(("CompGCN", "NodePiece"), "it is made of inverse triples")
    | dict.fromkeys(
        ("InductiveNodePiece", "InductiveNodePieceGNN"), "it is made of two graphs; see `kg.inductive`"
    )
    | dict.fromkeys(
        ("ComplExLiteral", "DistMultLiteral", "DistMultLiteralGated"),
        "it is made of numbers that entities have",
    )
    | dict.fromkeys(
        ("CooccurrenceFilteredModel", "FixedModel", "UM"), "it has no vectors of entities and relations"
    )
)
"""Those that cannot be trained here, and why."""


def name_model(name: str) -> str:
    """A model's name as PyKEEN writes it, however it is capitalised. Raises ValueError that lists what there is."""
    named = {model.lower(): model for model in (*MODELS, *UNFIT)}.get(name.lower())
    if named in MODELS:
        return named
    why = "PyKEEN has none of this name" if named is None else UNFIT[named]
    raise ValueError(f"embedding model {name!r}: {why}; there is {', '.join(MODELS)}")


def fitting_width(model: str, dim: int) -> int:
    """`dim`, or the next larger width that fits the model: ConvE lays a vector out as a picture of 2 × 3 at least."""
    while model == "ConvE" and not any(dim % height == 0 for height in range(2, dim // 3 + 1)):
        dim += 1
    return dim
