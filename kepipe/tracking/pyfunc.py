"""A model folder as an MLflow model: texts in, predictions out.

MLflow finds this module by its name in the file `MLmodel` and calls `_load_pyfunc`; nothing is pickled. The model
carries the code of kepipe that registered it, and pins the versions of what that needs: a server installs nothing by
the name `kepipe`, which on a public index is not ours.
"""

from __future__ import annotations

import shutil
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import kepipe
import kg
from kepipe.files import link_or_copy
from kepipe.provenance import pinned_requirements

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

    from kepipe.tracking.mask_predictor import MaskPredictor


def _load_pyfunc(path: str) -> MaskPredictor:
    """MLflow's entry point; `path` is the model folder."""
    from kepipe.tracking.mask_predictor import MaskPredictor

    return MaskPredictor.load(Path(path))


def signature() -> ModelSignature:
    """Texts, with the tokenizer's mask where something is to be filled in → one row a prediction."""
    from mlflow.models import ModelSignature
    from mlflow.types.schema import ColSpec, DataType, ParamSchema, ParamSpec, Schema

    columns = {
        "text": DataType.long,
        "place": DataType.long,
        "prediction": DataType.string,
        "probability": DataType.double,
    }
    return ModelSignature(
        inputs=Schema([ColSpec(DataType.string)]),
        outputs=Schema([ColSpec(kind, name) for name, kind in columns.items()]),
        params=ParamSchema([ParamSpec("top", DataType.long, 5)]),
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
            signature=signature(),
            mlflow_model=Model(model_id=model_id, run_id=run),
            code_paths=[str(Path(str(package.__file__)).parent) for package in (kepipe, kg)],
            pip_requirements=pinned_requirements(),
        )
    data = target / str(Model.load(str(target)).flavors["python_function"]["data"])
    data.rmdir()
    skip = shutil.ignore_patterns("record", "artifact.json")
    shutil.copytree(
        folder, data, copy_function=lambda source, name: link_or_copy(Path(source), Path(name)), ignore=skip
    )
