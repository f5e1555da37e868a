"""Trained models by name: `minilm`, a folder of kepipe's or of Hugging Face's, a hub id.

To locate one does not import torch: that is part of every plan.
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
    """The local folder of a trained model; a hub id is fetched into Hugging Face's cache.

    Raises ValueError where there is none.
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
"""The type of a model in a folder of Hugging Face's that is not the one transformer → its kind
(`kepipe.inference.opening.KINDS`)."""
UNREAD = {".bin", ".ckpt", ".gguf", ".h5", ".md", ".msgpack", ".onnx", ".pt", ".pth", ".tflite"}
"""Endings of files of a model folder that kepipe never opens: weights in other forms, and a page about them."""


def files_of(folder: Path) -> dict[str, Path]:
    """Path in a model folder → file, of all that may be read of it: config, weights, tokenizer, and what its knowledge
    and its task bring, whatever they call it."""
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
    """The folder of a trained model on this machine that is not the one transformer: as its config says, by the format
    of another kind, or by the type of a model that is ported on its own."""
    if name == MINILM or not Path(name).expanduser().is_dir():
        return None
    from kepipe.models.config import is_ours

    place = locate(name)
    values = _read(place)[1]
    other = "format" in values and not is_ours(values)
    return place if other or values.get("model_type") in OTHER_KINDS else None


def kind_at_hugging_face(folder: Path) -> str:
    """The kind of a folder of Hugging Face's. Raises ValueError where it holds no config."""
    return OTHER_KINDS.get(str(_read(folder)[1].get("model_type")), HUGGING_FACE)


def read_config(name: str) -> TransformerConfig | None:
    """The config of a trained model on this machine, but for what its weights alone tell; None for one that would have
    to be fetched, and for the releases that are ported on their own.

    Raises ValueError where it cannot be read.
    """
    from kepipe.models.config import TransformerConfig, is_ours, read_config
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
    port = settings.find_port(file, theirs)
    found = settings.heads(_weights(place), port)
    return TransformerConfig(**settings.to_ours(file, theirs, port), **found)


def _read(place: Path) -> tuple[Path, dict[str, Any]]:
    """The file of a folder's config, and what it holds, whosever it is. Raises ValueError where it is no config."""
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
    """Names of the weights in a folder, which are not read."""
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
    """The model that `name` names, on the CPU in fp32, with this dropout.

    `note` is told of weights that it lacked (drawn from `seed`) and of ones that were left out. With `counts`, how
    often each token stands in the text to be learned, int [V], a vocabulary head that it lacked is not drawn but reads
    the token table (`init_tied_head`).
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
        fresh = list(ported.fresh)
        fits = counts is not None and len(counts) == model.config.vocabulary  # else it is refused later
        if counts is not None and fits and lacks_head(model, fresh):
            init_tied_head(model)
            init_output_bias(model, counts)
            fresh = [weight for weight in fresh if not weight.startswith("head.")]
            note(
                f"{name} lacks a vocabulary head: it reads the token table, and expects the tokens' frequencies"
            )
        if fresh:
            note(f"{name} lacks {several(fresh)}: drawn at random, to be trained")
        if ported.unused:
            note(f"{name}: no place for {several(ported.unused)}: left out")
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
        return Path(
            snapshot_download(name, allow_patterns=["*.json", "*.safetensors", "vocab.txt", "merges.txt"])
        )
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise ValueError(
            f"base: {name}: neither a local folder nor to be had from the hub ({error})"
        ) from None


def several(names: Sequence[str]) -> str:
    """The first of several names, and how many more there are, for messages."""
    return f"{', '.join(names[:3])}" + (f" and {len(names) - 3} more" if len(names) > 3 else "")
