"""Opening a model folder for inference or training: the model's capabilities, and the knowledge in its folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from kepipe.inference import export_forms
from kepipe.inference.added_knowledge import OWN, AddedKnowledge, refusals
from kepipe.models import config, pretrained
from kepipe.models.elmo.config import read_elmo_config
from kepipe.models.hf.xlnet import read_config as read_xlnet_config
from kepipe.models.interpolation import read_interpolation_config
from kepipe.models.networks.families import read_network_config
from kepipe.models.ngram.config import read_ngram_config
from kepipe.models.protocols import (
    Encoder,
    EncoderConfig,
    LanguageModel,
    MaskedLanguageModel,
    ModelConfig,
    TrainableEncoder,
)
from kepipe.models.static.config import read_static_config

if TYPE_CHECKING:
    from kepipe.knowledge.base import Knowledge
    from kepipe.models.networks.network import Network
    from kepipe.models.onnx.graph import GraphModule
    from kepipe.models.transformer import Transformer

Note = Callable[[str], None]
"""Called with messages for the user about a model."""


@dataclass(frozen=True)
class OpenedModel:
    """The interfaces of an opened model; None if not supported.

    `knowledge`: the model's knowledge, applied to the batches of an encoder (`Knowledge.apply`), and to the prompts of
    a language model (`kepipe.inference.prompt_facts`).
    """

    folder: Path
    language_model: LanguageModel | None = None
    masked_language_model: MaskedLanguageModel | None = None
    encoder: Encoder | None = None
    knowledge: Knowledge | None = None


Export = Callable[[Path, Path], None]
"""(the model's folder, the folder to write): exports models of this kind."""
Graph = Callable[[TrainableEncoder], "GraphModule"]
LoadEncoder = Callable[[Path, float, int, Note], TrainableEncoder]
"""(folder, dropout, seed of missing weights, callback for messages) → the model on the CPU."""


@dataclass(frozen=True)
class ModelKind:
    """A row: how model folders of this kind are opened. `open_model` adds the knowledge in the folder."""

    read_config: Callable[[Path], ModelConfig]
    open: Callable[[Path, str, Note], OpenedModel]
    """(folder, device, callback for warnings) → the opened model."""
    load_encoder: LoadEncoder | None = None
    """Loads a model for further training, such as fine-tuning; None: not supported."""
    export: Export | None = None
    """Writes the format of `kepipe export`."""
    graph: Graph | None = None
    """Converts a model loaded by `load_encoder` to an ONNX graph; None: not supported."""


def open_transformer(folder: Path, device: str, note: Note) -> OpenedModel:  # noqa: ARG001
    """A transformer in kepipe's format."""
    from kepipe.models import folder as models

    return _opened(folder, models.load(folder).to(device))


def open_hugging_face(folder: Path, device: str, note: Note) -> OpenedModel:
    """A transformer in a Hugging Face folder, or a supported release in another format."""
    return _opened(folder, pretrained.from_pretrained(str(folder), note=note).eval().to(device))


def _opened(folder: Path, model: Transformer) -> OpenedModel:
    """A transformer with all interfaces that it supports.

    Raises ValueError if the tokenizer has tokens for which the model has no vectors.
    """
    from kepipe.models.lm_scorer import LMScorer, prompt_style_of, writes
    from kepipe.models.mask_filler import MaskFiller, fills_masks
    from kepipe.models.own_tokenizer import load_own_tokenizer

    tokenizer = load_own_tokenizer(folder, model.config)
    return OpenedModel(
        folder,
        language_model=LMScorer(model, tokenizer, prompt_style_of(model.config, folder))
        if writes(model)
        else None,
        masked_language_model=MaskFiller(model, tokenizer) if fills_masks(model) else None,
        encoder=model,
    )


def _load_transformer(folder: Path, dropout: float, seed: int, note: Note) -> TrainableEncoder:
    return pretrained.from_pretrained(str(folder), seed=seed, dropout=dropout, note=note)


def _read_hugging_face(folder: Path) -> ModelConfig:
    """The config of another library's folder. If it is incomplete, the names of the weights are read as well."""
    return pretrained.read_config(str(folder)) or pretrained.from_pretrained(str(folder)).config


def _open_ngram(folder: Path, _device: str, _note: Note) -> OpenedModel:
    from kepipe.models.ngram.model import load

    return OpenedModel(folder, language_model=load(folder))


def _open_static(folder: Path, device: str, _note: Note) -> OpenedModel:
    from kepipe.models.own_tokenizer import load_own_tokenizer
    from kepipe.models.static.encoder import load

    encoder = load(folder, device)
    load_own_tokenizer(folder, encoder.config)
    return OpenedModel(folder, encoder=encoder)


def _load_static(folder: Path, _dropout: float, _seed: int, _note: Note) -> TrainableEncoder:
    from kepipe.models.static.encoder import load

    return load(folder)


def _open_elmo(folder: Path, device: str, _note: Note) -> OpenedModel:
    from kepipe.models.elmo.language_model import ElmoLanguageModel
    from kepipe.models.elmo.model import load
    from kepipe.tokenization.tokenizer import load_tokenizer

    model = load(folder, device)
    language_model = None if model.head is None else ElmoLanguageModel(model, load_tokenizer(folder))
    return OpenedModel(folder, language_model=language_model, encoder=model)


def _load_elmo(folder: Path, dropout: float, _seed: int, _note: Note) -> TrainableEncoder:
    from kepipe.models.elmo.model import load

    return load(folder, dropout=dropout)


def _open_network(folder: Path, device: str, _note: Note) -> OpenedModel:
    from kepipe.models.networks.families import load

    return _opened_network(folder, load(folder).to(device))


def _opened_network(folder: Path, model: Network) -> OpenedModel:
    """A network with all interfaces that it supports."""
    from kepipe.models.mask_filler import MaskFiller
    from kepipe.models.networks.language_model import NetworkLanguageModel
    from kepipe.models.networks.network import ReadingNetwork
    from kepipe.models.own_tokenizer import load_own_tokenizer

    tokenizer, can = load_own_tokenizer(folder, model.config), model.config.capabilities
    writes = isinstance(model, ReadingNetwork) and "language-model" in can
    return OpenedModel(
        folder,
        language_model=NetworkLanguageModel(cast("ReadingNetwork", model), tokenizer) if writes else None,
        masked_language_model=MaskFiller(model, tokenizer) if "masked-lm" in can else None,
        encoder=model if "encoder" in can else None,
    )


def _load_network(folder: Path, dropout: float, _seed: int, _note: Note) -> TrainableEncoder:
    from kepipe.models.networks.families import load

    return load(folder, dropout)


def _export_network(source: Path, folder: Path) -> None:
    """The format of its family, or else an ONNX graph."""
    from kepipe.models.networks.families import NETWORKS, load

    write = NETWORKS[read_network_config(source).family].export
    if write is None:
        export_onnx(source, folder)
    else:
        write(source, folder, load(source))


def _load_xlnet(folder: Path, dropout: float, seed: int, note: Note) -> Network:
    from kepipe.models.hf.xlnet import load

    return load(folder, dropout, seed, note)


def _open_interpolation(folder: Path, device: str, note: Note) -> OpenedModel:
    from kepipe.models.interpolation import Interpolation

    its_config = read_interpolation_config(folder)
    members = []
    for name in its_config.members:
        member = _kind(folder / name).open(folder / name, device, note).language_model
        if member is None:
            raise ValueError(f"{folder / name}: this model is not a language model")
        members.append(member)
    return OpenedModel(folder, language_model=Interpolation(tuple(members), its_config.weights))


def _export_interpolation(source: Path, folder: Path) -> None:
    """Each member in its own format, and the weights of the mixture."""
    from kepipe.models.files import write_json

    its_config = read_interpolation_config(source)
    for name in its_config.members:
        export_model(source / name, folder / name)
    weights = dict(zip(its_config.members, its_config.weights, strict=True))
    write_json(folder / "interpolation.json", {"weights": weights})


KINDS: Mapping[str, ModelKind] = {
    "kepipe-transformer": ModelKind(
        config.read_config,
        open_transformer,
        _load_transformer,
        export_forms.export_transformer,
        export_forms.transformer_graph,
    ),
    pretrained.HUGGING_FACE: ModelKind(
        _read_hugging_face,
        open_hugging_face,
        _load_transformer,
        export_forms.export_transformer,
        export_forms.transformer_graph,
    ),
    pretrained.OTHER_KINDS["xlnet"]: ModelKind(
        read_xlnet_config,
        lambda folder, device, note: _opened_network(folder, _load_xlnet(folder, 0.0, 0, note).to(device)),
        _load_xlnet,
        export_forms.export_xlnet,
        export_forms.network_graph,
    ),
    "kepipe-network": ModelKind(
        read_network_config, _open_network, _load_network, _export_network, export_forms.network_graph
    ),
    "kepipe-ngram": ModelKind(read_ngram_config, _open_ngram, export=export_forms.export_ngram),
    "kepipe-elmo": ModelKind(read_elmo_config, _open_elmo, _load_elmo, export_forms.export_elmo),
    "kepipe-interpolation": ModelKind(
        read_interpolation_config, _open_interpolation, export=_export_interpolation
    ),
    "kepipe-static": ModelKind(
        read_static_config, _open_static, _load_static, export_forms.export_static, export_forms.encoder_graph
    ),
}
"""The table of model kinds: the `format` in `config.json`, without its version → the row. A new kind is a file and a
row."""


def read_config(folder: Path) -> ModelConfig:
    """The config of a folder's model. Raises ValueError if there is none."""
    return _kind(folder).read_config(folder)


def read_encoder_config(folder: Path) -> EncoderConfig:
    """The config of a folder's encoder. Raises ValueError for a model that cannot be used as an encoder in tasks and
    with knowledge."""
    found = read_config(folder)
    if not isinstance(found, EncoderConfig):
        raise ValueError(f"{folder}: this model is not an encoder, which tasks and knowledge methods require")
    return found


def load_encoder(
    folder: Path, *, dropout: float = 0.0, seed: int = 0, note: Note = lambda _: None
) -> TrainableEncoder:
    """The encoder of a folder, for training. Raises ValueError for a model that cannot be trained."""
    load = _kind(folder).load_encoder
    if load is None:
        raise ValueError(f"{folder}: this model is not an encoder that can be fine-tuned")
    return load(folder, dropout, seed, note)


def open_model(
    folder: Path,
    device: str = "cpu",
    note: Note = lambda _: None,
    added: AddedKnowledge | None = OWN,
) -> OpenedModel:
    """The model of a folder on a device, in evaluation mode, with the knowledge in the folder and `added` knowledge;
    None: without any knowledge.

    Raises ValueError if the folder holds no model, and for knowledge that the model does not support.
    """
    opened = _kind(folder).open(folder, device, note)
    return opened if added is None else replace(opened, knowledge=_knowledge(opened, added, note))


def _knowledge(opened: OpenedModel, added: AddedKnowledge, note: Note) -> Knowledge | None:
    """The opened knowledge of a model: for prompts if the model only generates text, otherwise for whole texts."""
    from kepipe.knowledge.base import PromptSources, Sources
    from kepipe.knowledge.opening import open_own
    from kepipe.tokenization.tokenizer import load_tokenizer

    its_config = getattr(opened.encoder, "config", None) or read_config(opened.folder)
    if not isinstance(its_config, EncoderConfig):
        for refusal in refusals(added.methods, its_config, str(opened.folder)):
            raise refusal
        return None
    only_writes = opened.language_model is not None and opened.masked_language_model is None
    kind = PromptSources if only_writes else Sources
    sources = kind(load_tokenizer(opened.folder), its_config, **added.folders)
    return open_own(opened.folder, sources, note, added.methods, predicting=added.predicting)


def export_model(source: Path, folder: Path) -> None:
    """Export a folder's model. Raises ValueError if its kind has no export format."""
    write = _kind(source).export
    if write is None:
        raise ValueError(f"{source}: models of this kind have no export format")
    write(source, folder)


def export_onnx(source: Path, folder: Path, note: Note = lambda _: None, *, int8: bool = False) -> None:
    """Write a folder's model as an ONNX graph, with its tokenizer. Raises ValueError if its kind is not supported."""
    from kepipe.models.onnx.folder import pretrained_card, row_templates, write_folder

    load, graph = require_graph(source)
    model = load(source, 0.0, 0, note).eval()
    card = pretrained_card(model.config, int8=int8)
    write_folder(folder, graph(model), source, row_templates(model.config), card)


def require_graph(source: Path) -> tuple[LoadEncoder, Graph]:
    """The functions that load a folder's model and convert it to a graph. Raises ValueError if its kind is not
    supported."""
    kind = _kind(source)
    if kind.graph is None or kind.load_encoder is None:
        raise ValueError(f"{source}: models of this kind cannot be converted to ONNX: leave `--to onnx` out")
    return kind.load_encoder, kind.graph


def _kind(folder: Path) -> ModelKind:
    name = config.read_format(folder).partition("/")[0] or pretrained.kind_at_hugging_face(folder)
    if name not in KINDS:
        raise ValueError(f"{folder / config.CONFIG}: not the config of a kepipe model folder")
    return KINDS[name]
