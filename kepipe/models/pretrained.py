"""Trained models by name: `minilm`, a folder in kepipe's or Hugging Face's format, a hub id.

Locating a model does not import torch, since it is part of every plan.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kepipe.flow.artifact import MANIFEST, RECORD
from kepipe.model_names import MINILM, means_place, minilm_folder
from kg.regular_files import read_json, require_regular

if TYPE_CHECKING:
    from kepipe.arrays import Ints
    from kepipe.models.config import TransformerConfig
    from kepipe.models.transformer import Transformer


def locate(name: str) -> Path:
    """The local folder of a trained model; a hub id is downloaded to Hugging Face's cache.

    Raises ValueError if it does not exist.
    """
    if name == MINILM:
        return minilm_folder()
    path = Path(name).expanduser()
    if (path / "config.json").is_file():
        return path
    if means_place(name):
        inside = sorted(path.glob("*/config.json"))
        hint = f"; did you mean `{inside[0].parent}`?" if inside else ""
        raise ValueError(
            f"base: {name}: expected a model folder (with config.json), a hub id, or `minilm`{hint}"
        )
    return _fetch(name)


HUGGING_FACE = "hugging-face"
"""The kind of a folder whose config states no format."""
OTHER_KINDS = {"xlnet": "hugging-face-xlnet"}
"""`model_type` of a Hugging Face folder that is not a `Transformer` → its kind (`kepipe.inference.opening.KINDS`)."""
UNREAD = {".bin", ".ckpt", ".gguf", ".h5", ".md", ".msgpack", ".onnx", ".pt", ".pth", ".tflite"}
"""Extensions of files in a model folder that are never read: weights in other formats, and model cards."""


HUB_FILES = ["*.json", "*.safetensors", "vocab.txt", "merges.txt"]
"""What is fetched of a model of the hub."""


def files_of(folder: Path) -> dict[str, Path]:
    """Path in a model folder → file, for all files that may be read: config, weights, tokenizer, and the files of its
    knowledge methods and its task, whatever their names."""
    files = {}
    for file in sorted(folder.rglob("*")):
        inside = file.relative_to(folder)
        hidden = any(part.startswith(".") for part in inside.parts)
        if (
            file.is_file()
            and not hidden
            and file.suffix not in UNREAD
            and inside.parts[0] not in (MANIFEST, RECORD)
        ):
            files[inside.as_posix()] = file
    return files


def place_of_other_kind(name: str) -> Path | None:
    """The local folder of a trained model that is not a `Transformer`, according to its config: by kepipe's format of
    another kind, or by the `model_type` of a separately supported model."""
    if name == MINILM or not Path(name).expanduser().is_dir():
        return None
    from kepipe.models.config import is_ours

    place = locate(name)
    values = _read(place)[1]
    other = "format" in values and not is_ours(values)
    return place if other or values.get("model_type") in OTHER_KINDS else None


def kind_at_hugging_face(folder: Path) -> str:
    """The kind of a Hugging Face folder. Raises ValueError if it has no config."""
    return OTHER_KINDS.get(str(_read(folder)[1].get("model_type")), HUGGING_FACE)


def read_config(name: str) -> TransformerConfig | None:
    """The config of a local trained model, except for what only the weights tell; None for a model that would have to
    be downloaded, and for releases with their own format.

    Raises ValueError if it cannot be read.
    """
    from kepipe.models.config import TransformerConfig, is_ours, read_config
    from kepipe.models.config_values import located
    from kepipe.models.hf import settings

    if name != MINILM and not Path(name).expanduser().is_dir():
        return None
    place = locate(name)
    file, theirs = _read(place)
    if is_ours(theirs):
        return read_config(place)
    _refuse_other_kind(file, theirs)
    if settings.release_of(theirs) is not None:
        return None
    names = _weights(place)
    with located(file):
        port = settings.find_port(theirs)
        return TransformerConfig(**settings.to_ours(theirs, port), **settings.heads(names, port))


def _read(place: Path) -> tuple[Path, dict[str, Any]]:
    """The config file of a folder, and its content, in any format. Raises ValueError if it is not a config."""
    file = place / "config.json"
    try:
        values = read_json(file)
    except (OSError, ValueError) as error:
        raise ValueError(f"{file}: no readable config of a model ({error})") from None
    if not isinstance(values, dict):
        raise ValueError(f'{file}: not the config of a model: expected {{"…": …}}')
    return file, values


def _refuse_other_kind(file: Path, values: Mapping[str, Any]) -> None:
    if "format" in values:
        raise ValueError(f"{file}: expected a transformer, found a model of kind {values['format']}")


def _weights(place: Path) -> set[str]:
    """Names of the weights in a folder; the values are not read."""
    from safetensors import SafetensorError, safe_open

    names: set[str] = set()
    for file in sorted(place.glob("*.safetensors")):
        try:
            require_regular(file)
            with safe_open(file, "np") as stored:
                names.update(stored.keys())
        except (OSError, SafetensorError) as error:
            raise ValueError(f"{file}: no readable weights ({error})") from None
    return names


def from_pretrained(
    name: str,
    *,
    seed: int = 0,
    dropout: float = 0.0,
    note: Callable[[str], None] = lambda _: None,
    counts: Ints | None = None,
) -> Transformer:
    """Load the model `name` on the CPU in fp32, with this dropout.

    `note` is called with messages about missing weights, which are initialised with `seed`, and about unused ones. With
    `counts`, the number of occurrences of each token in the training text, int [V], a missing vocabulary head is tied
    to the token embeddings instead of initialised randomly (`init_tied_head`).
    """
    from kepipe.models import folder
    from kepipe.models.config import is_ours
    from kepipe.models.hf import huggingface, settings, thunlp, uer
    from kepipe.models.output_bias import init_output_bias, init_tied_head, lacks_head

    place = locate(name)
    file, config = _read(place)
    if is_ours(config):
        model = folder.load(place)
    else:
        _refuse_other_kind(file, config)
        loads = {"thunlp": thunlp.load, "uer": uer.load, None: huggingface.load}
        ported = loads[settings.release_of(config)](place, seed)
        model = ported.model
        missing = list(ported.missing)
        fits = counts is not None and len(counts) == model.config.vocabulary  # otherwise rejected later
        if counts is not None and fits and lacks_head(model, missing):
            init_tied_head(model)
            init_output_bias(model, counts)
            missing = [weight for weight in missing if not weight.startswith("head.")]
            note(
                f"{name} lacks a vocabulary head: tied to the token embeddings, with a bias of the token frequencies"
            )
        if missing:
            note(f"{name} lacks {several(missing)}: initialised randomly")
        if ported.unused:
            note(f"{name}: unused weights: {several(ported.unused)}")
    return _with_dropout(model, dropout)


def _with_dropout(model: Transformer, dropout: float) -> Transformer:
    from kepipe.models.assemble import assemble

    changed = assemble(replace(model.config, dropout=dropout, attention_dropout=dropout))
    changed.load_state_dict(model.state_dict(), assign=True)
    return changed


def _fetch(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=HUB_FILES))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise ValueError(
            f"base: {name}: not a local folder, and not available from the hub ({error})"
        ) from None


def several(names: Sequence[str]) -> str:
    """The first three of several names and the number of the others, for messages."""
    return f"{', '.join(names[:3])}" + (f" and {len(names) - 3} more" if len(names) > 3 else "")
