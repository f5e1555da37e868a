"""MLflow flavor: a model folder as a pyfunc model that maps texts to predictions.

MLflow finds this module by its name in the file `MLmodel` and calls `_load_pyfunc`; nothing is pickled. The model
includes the kepipe code that registered it and pins its dependencies, so that a server never installs a package named
`kepipe` from a public index.
"""

from __future__ import annotations

import shutil
import stat
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import kg
from kepipe.files import link_or_copy
from kepipe.provenance import pinned_requirements

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

    from kepipe.tracking.predictors import PredictorRow, ServedModel


def _load_pyfunc(path: str) -> ServedModel:
    """MLflow's entry point; `path` is the model folder. Raises ValueError for a model that cannot predict, or that is
    damaged."""
    from kepipe.tracking.predictors import require_predictor

    return require_predictor(Path(path)).load(Path(path))


def _row_of(folder: Path) -> PredictorRow | None:
    """As `predictor_of`, and None for a model that was damaged after its stage `register`: it is stored as it is, and
    loading it tells the reason."""
    from kepipe.tracking.predictors import predictor_of

    try:
        return predictor_of(folder)
    except ValueError:
        return None


def signature(folder: Path) -> ModelSignature | None:
    """Signature of the model in a folder: texts → output table; None if it cannot predict or is damaged."""
    from mlflow.models import ModelSignature
    from mlflow.types.schema import ColSpec, DataType, ParamSchema, ParamSpec, Schema

    row = _row_of(folder)
    if row is None:
        return None
    return ModelSignature(
        inputs=Schema([ColSpec(DataType.string)]),
        outputs=Schema([ColSpec(DataType[kind], name) for name, kind in row.columns.items()]),
        params=ParamSchema(
            [ParamSpec(name, DataType.long, param.default) for name, param in row.params.items()]
        ),
    )


def write(folder: Path, target: Path, model_id: str, run: str) -> None:
    """Write a model folder as MLflow model `model_id` to `target`, which must not exist.

    Files are hard links to the store's where the file system supports them.
    """
    import mlflow.pyfunc
    from mlflow.models import Model

    row, model = _row_of(folder), Model(model_id=model_id, run_id=run)
    with tempfile.TemporaryDirectory() as empty, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*input example.*")  # a model that cannot predict has none
        mlflow.pyfunc.save_model(
            str(target),
            loader_module=__name__,
            data_path=empty,
            signature=signature(folder),
            input_example=None if row is None else [row.example(folder)],
            mlflow_model=model,
            code_paths=[str(Path(__file__).parents[1]), str(Path(str(kg.__file__)).parent)],
            pip_requirements=pinned_requirements(),
        )
    _reset_modes(target / "code", target / "MLmodel", target)
    data = target / str(model.flavors["python_function"]["data"])
    data.rmdir()
    skip = shutil.ignore_patterns("record", "artifact.json")
    shutil.copytree(
        folder, data, copy_function=lambda source, name: link_or_copy(Path(source), Path(name)), ignore=skip
    )


def _reset_modes(copied: Path, file: Path, folder: Path) -> None:
    """Set the modes of copied files and folders, which kept those of their originals, to those of new ones."""
    of_file, of_folder = (stat.S_IMODE(place.stat().st_mode) for place in (file, folder))
    for place in (copied, *copied.rglob("*")):
        place.chmod(of_folder if place.is_dir() else of_file)
