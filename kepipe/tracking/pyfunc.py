"""A model folder as an MLflow model: texts in, predictions out.

MLflow finds this module by its name in the file `MLmodel` and calls `_load_pyfunc`; nothing is pickled. The model
carries the code of kepipe that registered it, and pins the versions of what that needs: a server installs nothing by
the name `kepipe`, which on a public index is not ours.
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

    from kepipe.tracking.predictors import ServedModel


def _load_pyfunc(path: str) -> ServedModel:
    """MLflow's entry point; `path` is the model folder. Raises ValueError for a model that cannot be asked."""
    from kepipe.tracking.predictors import predictor_of

    row = predictor_of(Path(path))
    if row is None:
        raise ValueError(f"{path}: this model neither fills masks, writes nor answers a task")
    return row.load(Path(path))


def signature(folder: Path) -> ModelSignature | None:
    """Texts → the table that the model of a folder answers with; None where it cannot be asked."""
    from mlflow.models import ModelSignature
    from mlflow.types.schema import ColSpec, DataType, ParamSchema, ParamSpec, Schema

    from kepipe.tracking.predictors import predictor_of

    row = predictor_of(folder)
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
    """Write the MLflow model `model_id` of a model folder to `target`, which must not be there yet.

    The folder's files are hard links where the file system has them: the one copy is the store's own.
    """
    import mlflow.pyfunc
    from mlflow.models import Model

    with tempfile.TemporaryDirectory() as empty, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*input example.*")  # no text fits every model
        mlflow.pyfunc.save_model(
            str(target),
            loader_module=__name__,
            data_path=empty,
            signature=signature(folder),
            mlflow_model=Model(model_id=model_id, run_id=run),
            code_paths=[str(Path(__file__).parents[1]), str(Path(str(kg.__file__)).parent)],
            pip_requirements=pinned_requirements(),
        )
    _take_modes(target / "code", target / "MLmodel", target)
    data = target / str(Model.load(str(target)).flavors["python_function"]["data"])
    data.rmdir()
    skip = shutil.ignore_patterns("record", "artifact.json")
    shutil.copytree(
        folder, data, copy_function=lambda source, name: link_or_copy(Path(source), Path(name)), ignore=skip
    )


def _take_modes(copied: Path, file: Path, folder: Path) -> None:
    """Give files and folders that were copied, with the modes of where they came from, those of what is made here."""
    of_file, of_folder = (stat.S_IMODE(place.stat().st_mode) for place in (file, folder))
    for place in (copied, *copied.rglob("*")):
        place.chmod(of_folder if place.is_dir() else of_file)
