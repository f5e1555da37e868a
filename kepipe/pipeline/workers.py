"""One setting of `workers` for all stages of a pipeline that work on a corpus chunk by chunk."""

from __future__ import annotations

from dataclasses import replace

from pydantic import AfterValidator

from kepipe.config import ConfigError, Section
from kepipe.data.workers import check_place
from kepipe.flow.plan import Flow


def with_workers(flow: Flow, text: str) -> Flow:
    """The flow with these workers (`kepipe.data.workers.WorkerPlace`) in each stage that has the setting, whatever the
    pipeline's file says. Raises ConfigError for another text."""
    try:
        where = check_place(int(text) if text.lstrip("-").isdecimal() else text)
    except ValueError as reason:
        raise ConfigError(f"--workers {text}: {reason}") from None
    nodes = [
        replace(node, config=node.config.model_copy(update={"workers": where}))
        if has_workers(type(node.config))
        else node
        for node in flow.nodes
    ]
    return replace(flow, nodes=nodes)


def has_workers(section: type[Section]) -> bool:
    """Whether a stage's settings have `workers` of this kind; a training's `workers` are threads."""
    field = section.model_fields.get("workers")
    return field is not None and any(
        isinstance(check, AfterValidator) and check.func is check_place for check in field.metadata
    )
