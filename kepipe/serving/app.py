"""The HTTP interface: MLflow's scoring protocol for texts, so that clients of `mlflow models serve` work with it.

`POST /invocations` takes `{"inputs": [texts], "params": {…}}` and answers `{"predictions": [rows]}`.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)

from kepipe.serving.batching import Batcher, BusyError
from kepipe.serving.metrics import ServerMetrics
from kepipe.serving.served_model import CurrentModel
from kepipe.tracking.predictors import Param
from kepipe.version import __version__

VERSION_HEADER = "X-Model-Version"
"""Response header with the version of the model that made the predictions."""
log = logging.getLogger("kepipe.serving")


@dataclass(frozen=True)
class Limits:
    """Maximum texts, bytes and seconds per request, and maximum number of queued texts."""

    max_texts: int = 256
    max_bytes: int = 1_000_000
    timeout: float = 30.0
    max_waiting: int = 1024


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class Invocation(BaseModel):
    """The JSON body of `POST /invocations`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    inputs: Annotated[
        list[Annotated[str, StringConstraints(min_length=1)]],
        BeforeValidator(_as_list),
        Field(min_length=1, validation_alias=AliasChoices("inputs", "instances")),
    ]
    """Texts; a single string is one text."""
    params: dict[str, int] = {}
    """Parameters of the model's signature, such as `top` or `limit`."""


class _RequestError(Exception):
    """A request that gets an HTTP error response with `status`."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def make_app(
    current: CurrentModel, limits: Limits, hosts: Collection[str], refresh_seconds: float
) -> FastAPI:
    """The ASGI app of a model. `hosts`: accepted host names, so that a web page cannot reach it under another name (DNS
    rebinding). `refresh_seconds`: time between checks of the alias."""
    metrics = ServerMetrics(lambda: batcher.waiting)
    batcher = Batcher(lambda: current.loaded, limits.max_waiting, metrics.batch.observe)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        current.watch(refresh_seconds)
        try:
            yield
        finally:
            await asyncio.gather(
                asyncio.to_thread(current.stop, limits.timeout),
                asyncio.to_thread(batcher.close, limits.timeout),
            )

    app = FastAPI(title="kepipe", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None)

    @app.post("/invocations", openapi_extra=_body())
    async def invocations(request: Request) -> Response:
        """Predictions for texts."""
        start = time.perf_counter()
        metrics.in_progress.inc()
        try:
            _require_known_host(request, hosts)
            async with asyncio.timeout(limits.timeout):
                response = await _respond(request, current, batcher, limits)
        except _RequestError as error:
            retry = {"Retry-After": "1"} if error.status == 503 else {}
            response = JSONResponse({"error": str(error)}, error.status, retry)
        except TimeoutError:
            response = JSONResponse({"error": f"no response within {limits.timeout:g} seconds"}, 504)
        except Exception:
            log.exception("a request failed")
            response = JSONResponse({"error": "the model failed; see the server's output"}, 500)
        finally:
            metrics.in_progress.dec()
        metrics.requests.labels(response.status_code).inc()
        metrics.seconds.observe(time.perf_counter() - start)
        return response

    @app.get("/health")
    @app.get("/ping", include_in_schema=False)
    async def health() -> dict[str, str]:
        """Liveness: the server is running."""
        return {"status": "alive"}

    @app.get("/ready")
    async def ready() -> Response:
        """Readiness: 503 while the queue is full."""
        full = batcher.waiting >= limits.max_waiting
        return JSONResponse({"ready": not full, "version": current.loaded.version}, 503 if full else 200)

    @app.get("/metrics")
    async def prometheus_metrics() -> Response:
        """Metrics in Prometheus' format."""
        text = metrics.text(current.name, current.loaded.version)
        return Response(text, media_type=metrics.media_type)

    @app.get("/version")
    async def version() -> dict[str, str]:
        """Versions of kepipe and of the model."""
        return {"kepipe": __version__, "model": current.name, "version": current.loaded.version}

    return app


def _require_known_host(request: Request, hosts: Collection[str]) -> None:
    name = request.url.hostname or ""
    if name.lower() not in hosts:
        raise _RequestError(
            400, f"host {name} is not allowed; to allow it, start the server with --allowed-host {name}"
        )


async def _respond(request: Request, current: CurrentModel, batcher: Batcher, limits: Limits) -> JSONResponse:
    """Raises _RequestError for an invalid request and if the server is busy."""
    invocation = await _read(request, current.loaded.row.params, limits)
    try:
        answer = await asyncio.wrap_future(batcher.submit(invocation.inputs, invocation.params))
    except BusyError:
        raise _RequestError(503, "too many texts are queued; retry in a second") from None
    except ValueError as error:
        raise _RequestError(400, str(error)) from None
    rows = [{key: _json(value) for key, value in row.items()} for row in answer.rows]
    return JSONResponse({"predictions": rows}, headers={VERSION_HEADER: answer.version})


async def _read(request: Request, params: Mapping[str, Param], limits: Limits) -> Invocation:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":  # HTML forms, and so web pages, cannot send this type without CORS
        raise _RequestError(415, "expected Content-Type: application/json")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > limits.max_bytes:
            raise _RequestError(413, f"more than {limits.max_bytes:,} bytes")
    try:
        invocation = Invocation.model_validate_json(bytes(body))
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(map(str, problem["loc"])) or "the body"
        raise _RequestError(400, f'{place}: {problem["msg"]}; expected {{"inputs": ["a text", …]}}') from None
    if len(invocation.inputs) > limits.max_texts:
        raise _RequestError(
            413, f"{len(invocation.inputs):,} texts; at most {limits.max_texts:,} are allowed per request"
        )
    for name, value in invocation.params.items():
        if name not in params:
            known = ", ".join(params) or "none"
            raise _RequestError(400, f"params.{name}: not a parameter of this model; known: {known}")
        if not 1 <= value <= params[name].maximum:
            raise _RequestError(400, f"params.{name}: expected 1 to {params[name].maximum:,}, found {value}")
    return invocation


def _json(value: Any) -> Any:
    """A value of the table as JSON: NaN and infinity become null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _body() -> dict[str, Any]:
    content = {"application/json": {"schema": Invocation.model_json_schema()}}
    return {"requestBody": {"required": True, "content": content}}
