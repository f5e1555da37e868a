"""Open a model for inference: `kepipe.load`."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from kepipe.api.knowledge import KnowledgeValue, prompt_facts, read_added, read_knowledge
from kepipe.api.linking import is_linker, link_documents, open_linker
from kepipe.api.predicting import answer
from kepipe.api.running import place_of
from kepipe.api.writing import Decoding, write
from kepipe.linking import LINKER
from kepipe.terminal import echo

if TYPE_CHECKING:
    from kepipe.data.document import Document
    from kepipe.finetuning.predictor import Predictor
    from kepipe.inference.opening import OpenedModel
    from kepipe.linking.linker import Linker
    from kepipe.models.prompt_styles import PromptStyle
    from kepipe.tracking.mask_predictor import MaskPredictor

Ability = Literal["predict", "generate", "link"]


@dataclass(frozen=True)
class Added:
    """Knowledge settings and sources that replace those of the model's folder; see `load`."""

    knowledge: KnowledgeValue = None
    graph: Path | None = None
    vectors: Path | None = None
    linker: Path | None = None
    unknown: Literal["ignore", "compose"] = "ignore"
    prompt_style: PromptStyle | None = None

    @property
    def any(self) -> bool:
        """Whether anything is replaced."""
        return self != Added()


def load(
    model: str | Path,
    *,
    knowledge: KnowledgeValue = None,
    graph: str | Path | None = None,
    vectors: str | Path | None = None,
    linker: str | Path | None = None,
    unknown: Literal["ignore", "compose"] = "ignore",
    prompt_style: PromptStyle | None = None,
    workspace: str | Path | None = None,
) -> LoadedModel:
    """Open a model for inference.

    `model`: the folder of a stage (`finetune`, `pretrain`, `link`), a linker, a stored graph (for linking with general
    weights), a registered model of the workspace's tracking store (`models:/NAME@champion`), or another trained model:
    its folder, a hub id, `minilm`. `knowledge`, `graph`, `vectors`, `linker`, `unknown`: the options of `kepipe
    predict` and `kepipe generate`; a graph may be in any format that kepipe reads. `prompt_style`: that of `kepipe
    generate`. `workspace`: as in `kepipe.run`.

    Weights are loaded at the first call. Raises ValueError if there is no model, and for arguments that the model does
    not use.
    """
    from kepipe.api.graphs import opened_graph

    held = ExitStack()
    folder, abilities = _find(str(model), place_of(workspace), held)
    stored = None if graph is None else held.enter_context(opened_graph(Path(graph))).folder
    added = Added(
        knowledge,
        stored,
        None if vectors is None else Path(vectors),
        None if linker is None else Path(linker),
        unknown,
        prompt_style,
    )
    if (reason := _refusal(folder, abilities, added)) is not None:
        raise ValueError(f"{model}: {reason}")
    loaded = LoadedModel(str(model), folder, abilities, added)
    weakref.finalize(loaded, held.close)
    return loaded


class LoadedModel:
    """A model for inference. `abilities`: the methods that it supports; others raise ValueError."""

    def __init__(self, name: str, folder: Path, abilities: tuple[Ability, ...], added: Added) -> None:
        self.name, self.folder, self.abilities = name, folder, abilities
        self._added = added

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}: {', '.join(self.abilities)}>"

    def predict(self, texts: str | Sequence[str]) -> list[dict[str, Any]]:
        """A record for each text, with the prediction under `predicted`.

        Fine-tuned model: as printed by `kepipe predict --json`. Masked language model: the most probable token of each
        mask, under `masks` the five most probable with their probabilities, and under `entities` those that the text
        names, if the model uses them. Generative model: a greedy continuation of up to 50 tokens; `generate` has
        options. Raises ValueError for a text without the markers that the task needs.
        """
        self._require("predict")
        asked = [texts] if isinstance(texts, str) else list(texts)
        if self._predictor is not None:
            return answer(self._predictor, asked, _note)
        if "generate" in self.abilities:
            return [{"predicted": self.generate(text)[0]} for text in asked]
        return self._masks.records(asked)

    def generate(
        self,
        prompt: str,
        limit: int = 50,
        beams: int = 1,
        count: int = 1,
        temperature: float | None = None,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int = 0,
    ) -> list[str]:
        """The prompt with its continuation, as `kepipe generate`: `count` texts, greedy, sampled (`temperature`,
        `top_k`, `top_p`), or by beam search. Raises ValueError for incompatible options."""
        self._require("generate")
        decoding = Decoding(limit, beams, count, temperature, top_k, top_p, seed)
        own = self._added
        added = read_added(own.knowledge, own.graph, own.vectors, own.linker)
        facts = prompt_facts(self._writer, added, own.linker, [prompt])
        return write(self.name, self._writer, prompt, decoding, facts)

    def link(
        self,
        texts: str | Sequence[str],
        *,
        language: Literal["en", "zh"] | None = None,
        spacy_model: str | None = "en_core_web_sm",
        threshold: float | None = None,
    ) -> list[Document]:
        """The texts as documents with linked `mentions`, as `kepipe link`.

        `language`: by default detected from the letters. `spacy_model`: the pipeline for English; None: rules, which
        are fast but find no persons. `threshold`: instead of the linker's own.
        """
        self._require("link")
        from kepipe.data.document import Document
        from kepipe.data.script import language_of
        from kepipe.linking.decision.policy import Policy
        from kepipe.linking.text.annotators import make_annotator

        asked = [texts] if isinstance(texts, str) else list(texts)
        annotator = make_annotator(language or language_of(asked) or "en", spacy_model)
        documents = (Document(str(number), text) for number, text in enumerate(asked))
        return list(link_documents(documents, self._linker, annotator, Policy(threshold)))

    def _require(self, ability: Ability) -> None:
        if ability not in self.abilities:
            raise ValueError(
                f"{self.name}: this model does not {ability}; it supports {' and '.join(self.abilities)}"
            )

    @cached_property
    def _predictor(self) -> Predictor | None:
        """The predictor of a task; None if the model is not fine-tuned."""
        from kepipe.device import resolve
        from kepipe.finetuning.fine_tuned import SPEC
        from kepipe.finetuning.predictor import Predictor

        if not (self.folder / SPEC).is_file():
            return None
        own = self._added
        return Predictor.open(
            self.folder,
            methods=read_knowledge(own.knowledge),
            graph=own.graph,
            vectors=own.vectors,
            linker=own.linker,
            unknown=own.unknown,
            device=resolve("auto"),
        )

    @cached_property
    def _writer(self) -> OpenedModel:
        from kepipe.device import resolve
        from kepipe.inference.language_model import open_language_model

        own = self._added
        added = read_added(own.knowledge, own.graph, own.vectors, own.linker)
        return open_language_model(str(self.folder), own.prompt_style, _note, added, resolve("auto"))

    @cached_property
    def _masks(self) -> MaskPredictor:
        from kepipe.tracking.mask_predictor import MaskPredictor

        own = self._added
        added = read_added(own.knowledge, own.graph, own.vectors, own.linker)
        return MaskPredictor.load(self.folder, added, own.linker)

    @cached_property
    def _linker(self) -> Linker:
        return open_linker(self.folder)


def _find(name: str, workspace: Path, held: ExitStack) -> tuple[Path, tuple[Ability, ...]]:
    """The model's folder and abilities. Raises ValueError if it has none."""
    from kepipe.tracking.model_uri import is_model_uri, opened_folder

    path = Path(name).expanduser()
    if is_model_uri(name):
        path = held.enter_context(opened_folder(name, workspace.resolve()))
    elif is_linker(path):
        return path, ("link",)
    elif is_linker(path / LINKER) and not (path / "config.json").is_file():
        return path / LINKER, ("link",)
    from kepipe.finetuning.fine_tuned import SPEC
    from kepipe.inference.opening import read_config
    from kepipe.models.pretrained import locate

    folder = locate(str(path) if is_model_uri(name) else name)
    if (folder / SPEC).is_file():
        return folder, ("predict",)
    capabilities = read_config(folder).capabilities
    if "language-model" in capabilities:
        return folder, ("predict", "generate")
    if "masked-lm" in capabilities:
        return folder, ("predict",)
    raise ValueError(
        f"{name}: an encoder without a head, which predicts nothing: fine-tune it on a task with a stage `finetune`"
    )


def _refusal(folder: Path, abilities: tuple[Ability, ...], added: Added) -> str | None:
    """The error message for arguments that the model does not use; None if there are none."""
    from kepipe.finetuning.fine_tuned import SPEC
    from kepipe.knowledge.opening import carried, read_settings

    if not added.any:
        return None
    if abilities == ("link",):
        return "a linker takes no knowledge, graph, vectors or prompt_style"
    if "generate" not in abilities and added.prompt_style is not None:
        return "this model does not generate text: remove prompt_style"
    if (folder / SPEC).is_file():
        return None
    if (
        "generate" not in abilities
        and added.knowledge is None
        and not (read_settings(folder, predicting=True) or carried(folder))
    ):
        return "this model uses no knowledge: it fills masks from the text only"
    return None if added.unknown == "ignore" else "unknown applies to fine-tuned models only: remove it"


def _note(message: str) -> None:
    echo(message, err=True)
