"""A registered model in a fresh virtual environment: `python -m tests.benchmarks.fresh_environment`.

Registers a tiny model, installs the packages that it pins, and no others, into a new environment (some gigabytes,
from the package index that pip uses), and serves it there with `mlflow models serve`. The exit code is 1 if its
predictions differ from those of the model in this environment.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import mlflow

from kepipe.tracking.server_process import end_group
from kepipe.tracking.store import connect
from tests.support.ports import free_port
from tests.support.serving import register
from tests.support.tasks import base_model

TEXTS = ["ann saw [MASK] in oslo", "the rain was [MASK]"]


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="fresh-") as folder:
        root = Path(folder)
        store = connect(root / "workspace")
        register(store, "masks", base_model(root / "base").folder, 0.5)
        model = Path(
            mlflow.artifacts.download_artifacts("models:/masks@champion", dst_path=str(root / "model"))
        )
        expected = mlflow.pyfunc.load_model(str(model)).predict(TEXTS)
        python = install(root / "fresh", model / "requirements.txt")
        served = served_predictions(python, model, root)
    same = [(row["text"], row["prediction"]) for row in served] == list(
        zip(expected["text"], expected["prediction"], strict=True)
    )
    print(f"{len(served)} rows; {'equal to' if same else 'different from'} those of this environment")
    return 0 if same else 1


def install(environment: Path, requirements: Path) -> Path:
    """The interpreter of a new environment with these requirements."""
    start = time.monotonic()
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    python = environment / "bin" / "python"
    command = [str(python), "-m", "pip", "install", "--quiet", "--requirement", str(requirements)]
    subprocess.run(command, check=True)
    pinned = len(requirements.read_text().split())
    print(
        f"installed {pinned} pinned packages and their dependencies in {time.monotonic() - start:.0f} s",
        flush=True,
    )
    return python


def served_predictions(python: Path, model: Path, folder: Path) -> list[dict[str, object]]:
    """The predictions of a server that runs in the environment, in a folder without kepipe."""
    port = free_port()
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "MLFLOW", "VIRTUAL"))
    }
    environment |= {
        "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    command = [
        str(python),
        "-m",
        "mlflow",
        "models",
        "serve",
        "-m",
        str(model),
        "--env-manager",
        "local",
        "--port",
        str(port),
    ]
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(
            command, stdout=log, stderr=log, env=environment, cwd=folder, start_new_session=True
        )
    try:
        while True:
            if server.poll() is not None:
                raise SystemExit(f"the server ended: {(folder / 'server.log').read_text()[-3000:]}")
            try:
                httpx.get(f"http://127.0.0.1:{port}/health")
                break
            except httpx.HTTPError:
                time.sleep(0.5)
        answer = httpx.post(f"http://127.0.0.1:{port}/invocations", json={"inputs": TEXTS}, timeout=600)
        if answer.status_code != 200:
            raise SystemExit(f"{answer.status_code}: {answer.text[-3000:]}")
        predictions: list[dict[str, object]] = json.loads(answer.text)["predictions"]
        return predictions
    finally:
        end_group(server)


if __name__ == "__main__":
    sys.exit(main())
