"""Names of kepipe's in Dagster: an asset is called by its pipeline and its stage."""

from __future__ import annotations

import re

import dagster as dg

from kepipe.flow.plan import Flow, Node


def asset_key(flow: Flow, node: Node) -> dg.AssetKey:
    """`fresh/pretrain`: the asset of a stage."""
    return dg.AssetKey([flow.name, node.name])


def identifier(name: str) -> str:
    """A name as Dagster's jobs, sensors and groups take it: letters, digits and underscores."""
    return re.sub(r"\W", "_", name, flags=re.ASCII)
