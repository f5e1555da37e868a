"""Settings of knowledge distillation: a student learns from the probabilities of a trained model, the teacher.

Hinton et al. 2015, "Distilling the Knowledge in a Neural Network". `soft_targets.py` has the loss.
"""

from __future__ import annotations

from pydantic import ConfigDict, Field

from kepipe.config import Section, UserSource


class Distillation(Section):
    """A teacher, and how much it counts."""

    model_config = ConfigDict(populate_by_name=True)

    trained: UserSource | None = Field(None, alias="from")
    """The teacher's folder, if it is not the model of a stage (`inputs: {teacher: …}`)."""
    weight: float = Field(0.5, gt=0, le=1)
    """Weight of the teacher's probabilities in the loss. The true labels have the rest."""
    temperature: float = Field(2.0, gt=0)
    """Logits of teacher and student are divided by it. The higher, the more the less probable labels count."""
    similarities: float = Field(0.0, ge=0)
    """Weight of a second loss: how much the cosines between hidden states differ from the teacher's. The widths of the
    two models may differ."""
