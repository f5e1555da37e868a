"""The contents of docs/gpu.md: every row of the check, and manifests that match Kubernetes' schema."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from tests.benchmarks import gpu_hours
from tests.gpu.__main__ import CHECKS

DOCS = Path(__file__).parents[2] / "docs"
WORD: dict[str, Any] = {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"}
TEXT: dict[str, Any] = {"type": "string", "minLength": 1}
NUMBER: dict[str, Any] = {"type": "integer", "minimum": 0}
QUANTITIES: dict[str, Any] = {
    "type": "object",
    "additionalProperties": {"type": "string", "pattern": r"^\d+(m|[KMGT]i?)?$"},
}


def exactly(required: str, optional: str = "", **fields: Any) -> dict[str, Any]:
    """An object that has these fields of `fields`, and no others."""
    assert {*required.split(), *optional.split()} == fields.keys()
    return {
        "type": "object",
        "properties": fields,
        "required": required.split(),
        "additionalProperties": False,
    }


def listed(of: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": of, "minItems": 1}


USER = exactly(
    "runAsNonRoot",
    "runAsUser runAsGroup fsGroup",
    runAsNonRoot={"const": True},
    runAsUser=NUMBER,
    runAsGroup=NUMBER,
    fsGroup=NUMBER,
)
RIGHTS = exactly(
    "allowPrivilegeEscalation capabilities",
    allowPrivilegeEscalation={"const": False},
    capabilities=exactly("drop", drop=listed(TEXT)),
)
CONTAINER = exactly(
    "name image args resources securityContext volumeMounts",
    "env",
    name=WORD,
    image=TEXT,
    args=listed(TEXT),
    env=listed(exactly("name value", name=TEXT, value={"type": "string"})),
    resources=exactly("limits", "requests", requests=QUANTITIES, limits=QUANTITIES),
    securityContext=RIGHTS,
    volumeMounts=listed(exactly("name mountPath", name=WORD, mountPath=TEXT)),
)
POD = exactly(
    "restartPolicy containers volumes securityContext",
    restartPolicy={"enum": ["Never", "OnFailure"]},
    containers=listed(CONTAINER),
    volumes=listed(
        exactly(
            "name persistentVolumeClaim",
            name=WORD,
            persistentVolumeClaim=exactly("claimName", claimName=WORD),
        )
    ),
    securityContext=USER,
)
JOB_SPEC = exactly("template", "backoffLimit", backoffLimit=NUMBER, template=exactly("spec", spec=POD))
NAMED = exactly("name", name=WORD)
JOB = exactly(
    "apiVersion kind metadata spec",
    apiVersion={"const": "batch/v1"},
    kind={"const": "Job"},
    metadata=NAMED,
    spec=JOB_SPEC,
)
CRON_SPEC = exactly(
    "schedule jobTemplate",
    "concurrencyPolicy startingDeadlineSeconds successfulJobsHistoryLimit failedJobsHistoryLimit",
    schedule={"type": "string", "pattern": r"^(\S+ ){4}\S+$"},
    concurrencyPolicy={"enum": ["Allow", "Forbid", "Replace"]},
    startingDeadlineSeconds=NUMBER,
    successfulJobsHistoryLimit=NUMBER,
    failedJobsHistoryLimit=NUMBER,
    jobTemplate=exactly("spec", spec=JOB_SPEC),
)
CRON_JOB = exactly(
    "apiVersion kind metadata spec",
    apiVersion={"const": "batch/v1"},
    kind={"const": "CronJob"},
    metadata=NAMED,
    spec=CRON_SPEC,
)
SCHEMAS = {"job": JOB, "cronjob": CRON_JOB}
"""The fields of batch/v1 that the manifests use, strictly: Kubernetes refuses others too."""


def manifest(name: str) -> Any:
    return yaml.safe_load((DOCS / "kubernetes" / f"{name}.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", SCHEMAS)
def test_kubernetes_manifest_matches_the_schema(name: str) -> None:
    read = manifest(name)
    assert [error.message for error in Draft202012Validator(SCHEMAS[name]).iter_errors(read)] == []
    pod = (read if name == "job" else read["spec"]["jobTemplate"])["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert {mount["name"] for mount in container["volumeMounts"]} == {one["name"] for one in pod["volumes"]}


def test_cron_job_runs_the_job() -> None:
    assert manifest("cronjob")["spec"]["jobTemplate"]["spec"] == manifest("job")["spec"]


def test_misplaced_manifest_field_is_detected() -> None:
    read = manifest("job")
    read["spec"]["restartPolicy"] = read["spec"]["template"]["spec"].pop("restartPolicy")
    messages = [error.message for error in Draft202012Validator(JOB).iter_errors(read)]
    assert len(messages) == 2
    assert "'restartPolicy' was unexpected" in messages[0] + messages[1]


def test_expected_gpu_hours_are_those_that_the_program_prints() -> None:
    """For every shipped pipeline with the profile, which loads with it."""
    page = (DOCS / "gpu.md").read_text(encoding="utf-8")
    printed = list(gpu_hours.lines())
    assert len(printed) == 2 + 6
    for line in printed:
        assert f"{line}\n" in page


def test_every_row_of_the_gpu_check_is_on_the_page() -> None:
    page = (DOCS / "gpu.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    names = ", ".join(line.split("|")[1].strip() for line in rows)
    for check in CHECKS:
        family, _, kind = check.name.partition(", ")
        assert family in names, check.name
        assert kind in names, check.name
