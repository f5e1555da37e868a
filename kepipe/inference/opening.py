"""A model folder, opened for use: what the model can be asked, and the knowledge that its folder carries."""

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
"""Is told what a user should know of a model."""


@dataclass(frozen=True)
class OpenedModel:
    """What a model folder can be used as; None where it cannot.

    `knowledge`: what goes with the text where the model reads it (`Knowledge.apply`), for a language model with its
    prompts (`kepipe.inference.prompt_facts`).
    """

    folder: Path
    language_model: LanguageModel | None = None
    masked_language_model: MaskedLanguageModel | None = None
    encoder: Encoder | None = None
    knowledge: Knowledge | None = None


Export = Callable[[Path, Path], None]
"""The model's folder, the folder to fill: in the form in which others read models of this kind."""
Graph = Callable[[TrainableEncoder], "GraphModule"]
LoadEncoder = Callable[[Path, float, int, Note], TrainableEncoder]
"""The folder, the dropout, the seed of weights that it lacks, who is told of these → the model on the CPU."""


@dataclass(frozen=True)
class ModelKind:
    """A row: how a folder of models of this kind is read. `open_model` adds the knowledge that the folder carries."""

    read_config: Callable[[Path], ModelConfig]
    open: Callable[[Path, str, Note], OpenedModel]
    """The folder, the device, who is told what is odd about it → the model."""
    load_encoder: LoadEncoder | None = None
    """How a model is loaded that goes on learning, as in fine-tuning; None: models of this kind do not."""
    export: Export | None = None
    """How `kepipe export` writes it."""
    graph: Graph | None = None
    """What a model that `load_encoder` loads becomes as an ONNX graph; None: it becomes none."""


def open_transformer(folder: Path, device: str, note: Note) -> OpenedModel:  # noqa: ARG001
    """A transformer that kepipe trained."""
    from kepipe.models import folder as models

    return _opened(folder, models.load(folder).to(device))


def open_hugging_face(folder: Path, device: str, note: Note) -> OpenedModel:
    """A transformer in a folder of Hugging Face's, or of a release that is ported."""
    return _opened(folder, pretrained.from_pretrained(str(folder), note=note).eval().to(device))


def _opened(folder: Path, model: Transformer) -> OpenedModel:
    """A transformer with all that it can be used as.

    Raises ValueError where the tokenizer has tokens that the model has no vectors for.
    """
    from kepipe.models.lm_scorer import LMScorer, prompt_style_of, writes
    from kepipe.models.mask_filler import MaskFiller, fills_masks
    from kepipe.tokenization.tokenizer import load_tokenizer

    tokenizer = load_tokenizer(folder)
    if tokenizer.vocab_size > model.config.vocabulary:
        raise ValueError(
            f"{folder}: the tokenizer has ids up to {tokenizer.vocab_size - 1:,}, the model vectors for "
            f"{model.config.vocabulary:,} tokens: they do not belong together"
        )
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
    """The config of another library's folder; where it says too little, the weights are read too."""
    return pretrained.read_config(str(folder)) or pretrained.from_pretrained(str(folder)).config


def _open_ngram(folder: Path, _device: str, _note: Note) -> OpenedModel:
    from kepipe.models.ngram.model import load

    return OpenedModel(folder, language_model=load(folder))


def _open_static(folder: Path, device: str, _note: Note) -> OpenedModel:
    from kepipe.models.static.encoder import load

    return OpenedModel(folder, encoder=load(folder, device))


def _load_static(folder: Path, _dropout: float, _seed: int, _note: Note) -> TrainableEncoder:
    from kepipe.models.static.encoder import load

    return load(folder)


def _open_elmo(folder: Path, device: str, _note: Note) -> OpenedModel:
    from kepipe.models.elmo.language_model import ElmoLanguageModel
    from kepipe.models.elmo.model import load
    from kepipe.tokenization.tokenizer import load_tokenizer

    model = load(folder, device)
    told = None if model.head is None else ElmoLanguageModel(model, load_tokenizer(folder))
    return OpenedModel(folder, language_model=told, encoder=model)


def _load_elmo(folder: Path, dropout: float, _seed: int, _note: Note) -> TrainableEncoder:
    from kepipe.models.elmo.model import load

    return load(folder, dropout=dropout)


def _open_network(folder: Path, device: str, _note: Note) -> OpenedModel:
    from kepipe.models.networks.families import load

    return _opened_network(folder, load(folder).to(device))


def _opened_network(folder: Path, model: Network) -> OpenedModel:
    """A network with all that it can be used as."""
    from kepipe.models.mask_filler import MaskFiller
    from kepipe.models.networks.language_model import NetworkLanguageModel
    from kepipe.models.networks.network import ReadingNetwork
    from kepipe.tokenization.tokenizer import load_tokenizer

    tokenizer, can = load_tokenizer(folder), model.config.capabilities
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
    """The form of its family, else an ONNX graph."""
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
            raise ValueError(f"{folder / name}: this model says not how likely a text is")
        members.append(member)
    return OpenedModel(folder, language_model=Interpolation(tuple(members), its_config.weights))


def _export_interpolation(source: Path, folder: Path) -> None:
    """Its members in forms of their own, and what each weighs."""
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
"""The table of kinds of models: the format of a `config.json`, without its version → what reads it. A new kind is a
file and a row."""


def read_config(folder: Path) -> ModelConfig:
    """What the model of a folder is made of. Raises ValueError where the folder holds none."""
    return _kind(folder).read_config(folder)


def read_encoder_config(folder: Path) -> EncoderConfig:
    """The config of a folder's encoder. Raises ValueError for a model that can be none for tasks and knowledge."""
    found = read_config(folder)
    if not isinstance(found, EncoderConfig):
        raise ValueError(f"{folder}: this model is no encoder on which a task or knowledge could be put")
    return found


def load_encoder(
    folder: Path, *, dropout: float = 0.0, seed: int = 0, note: Note = lambda _: None
) -> TrainableEncoder:
    """The encoder of a folder, to be trained on. Raises ValueError where it is none that learns."""
    load = _kind(folder).load_encoder
    if load is None:
        raise ValueError(f"{folder}: this model is no encoder that could be fine-tuned")
    return load(folder, dropout, seed, note)


def open_model(
    folder: Path,
    device: str = "cpu",
    note: Note = lambda _: None,
    added: AddedKnowledge | None = OWN,
) -> OpenedModel:
    """The model of a folder on a device, in evaluation mode, with the knowledge that the folder carries and what is
    `added` to it; None: with none, so that it reads the text alone.

    Raises ValueError where the folder holds no model, and for knowledge that the model cannot be given.
    """
    opened = _kind(folder).open(folder, device, note)
    return opened if added is None else replace(opened, knowledge=_knowledge(opened, added, note))


def _knowledge(opened: OpenedModel, added: AddedKnowledge, note: Note) -> Knowledge | None:
    """What goes with the texts of a model. One that fills masks reads them whole; one that only writes goes on."""
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
    return open_own(opened.folder, sources, note, added.methods)


def export_model(source: Path, folder: Path) -> None:
    """Write a folder's model in the form in which others read it. Raises ValueError where there is none."""
    write = _kind(source).export
    if write is None:
        raise ValueError(f"{source}: there is no form in which others read a model of this kind")
    write(source, folder)


def export_onnx(source: Path, folder: Path, note: Note = lambda _: None, *, int8: bool = False) -> None:
    """Write a folder's model as an ONNX graph, with its tokenizer. Raises ValueError where there is none."""
    from kepipe.models.onnx.folder import pretrained_card, row_templates, write_folder

    load, graph = require_graph(source)
    model = load(source, 0.0, 0, note).eval()
    card = pretrained_card(model.config, int8=int8)
    write_folder(folder, graph(model), source, row_templates(model.config), card)


def require_graph(source: Path) -> tuple[LoadEncoder, Graph]:
    """How a folder's model is loaded, and becomes a graph. Raises ValueError where models of its kind become none."""
    kind = _kind(source)
    if kind.graph is None or kind.load_encoder is None:
        raise ValueError(f"{source}: models of this kind become no ONNX graph: leave `--to onnx` out")
    return kind.load_encoder, kind.graph


def _kind(folder: Path) -> ModelKind:
    name = config.read_format(folder).partition("/")[0] or pretrained.kind_at_hugging_face(folder)
    if name not in KINDS:
        raise ValueError(f"{folder / config.CONFIG}: not the config of a kepipe model folder")
    return KINDS[name]
