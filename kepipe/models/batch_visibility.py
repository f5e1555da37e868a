"""Who sees whom in a batch, by its descriptors: for an encoder, for a decoder, and from a decoder to its encoder."""

from __future__ import annotations

from kepipe.data.batch import Batch
from kepipe.nn.visibility import Visibility, by_name, documents, layout_of


def encoder_visibility(batch: Batch) -> Visibility:
    """Who sees whom among a batch's tokens."""
    return by_name(
        batch.visibility,
        batch.documents,
        prefix_BT=batch.prefix,
        branch_BT=batch.branch,
        mention_BT=batch.mention,
        layout=layout_of(batch.host.documents),
        host_BT=batch.host.documents,
    )


def decoder_visibility(batch: Batch) -> Visibility:
    """Who sees whom among a batch's decoder tokens: left to right, within a document."""
    written_BU = batch.host.decoder_documents
    layout = None if written_BU is None else layout_of(written_BU)
    return by_name("causal", batch.decoder_documents, layout=layout, host_BT=written_BU)


def memory_visibility(batch: Batch) -> Visibility:
    """Which of a batch's tokens its decoder tokens see: those of the same document."""
    if batch.decoder_documents is None:
        return documents(batch.documents.clamp(max=1), layout=layout_of(batch.host.documents.clamp(max=1)))
    written_BU = batch.host.decoder_documents
    assert written_BU is not None, "a batch on a device has what it has on the CPU"
    return documents(batch.decoder_documents, batch.documents, layout_of(written_BU, batch.host.documents))
