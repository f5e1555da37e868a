"""Export of a model and its tokenizer for transformers: rows get the special tokens of training, and generation stops
at the end token."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer as Backend
from tokenizers.processors import Sequence, TemplateProcessing

from kepipe.models.files import write_json
from kepipe.models.hf import huggingface
from kepipe.models.hf.dialects import dialect_of
from kepipe.models.transformer import Transformer
from kepipe.tokenization.tokenizer import Tokenizer, load_tokenizer
from kg.regular_files import read_json


def export(folder: Path, model: Transformer, source: Path) -> None:
    """Write a folder that `AutoModel…` and `AutoTokenizer.from_pretrained` open; `source` holds the tokenizer.

    Raises ValueError for a model without a Hugging Face form, and if there is no tokenizer.
    """
    tokenizer = load_tokenizer(source)
    huggingface.save(folder, model, source, special_ids(model, tokenizer))
    write_json(folder / "tokenizer.json", with_rows(tokenizer, model.config.family))
    file = folder / "tokenizer_config.json"
    theirs = read_json(file) if file.exists() else {}
    write_json(file, {**tokenizer_config(model, tokenizer), **theirs})


def export_folder(source: Path, folder: Path) -> None:
    """`export` the model in the folder `source`; if it was trained for text vectors, with the files of
    sentence-transformers."""
    from kepipe.models import pretrained
    from kepipe.models.hf.sentence_transformers import write_modules
    from kepipe.models.text_pooling import trained_pooling

    model = pretrained.from_pretrained(str(source))
    export(folder, model, source)
    if (pooling := trained_pooling(source)) is not None:
        write_modules(folder, model.hidden_size, pooling, model.config.positions or 512)


def special_ids(model: Transformer, tokenizer: Tokenizer) -> dict[str, int]:
    """Ids of the tokenizer's special tokens for their config, which otherwise has the family's defaults."""
    names = _names(model, tokenizer)
    ids = {f"{name}_id": tokenizer.id(token) for name, token in names.items()}
    if dialect_of(model.config.family).forces_end:
        ids["forced_eos_token_id"] = ids.get("eos_token_id")
    return {name: id for name, id in ids.items() if id is not None}


def tokenizer_config(model: Transformer, tokenizer: Tokenizer) -> dict[str, Any]:
    """Default values for `tokenizer_config.json`; those already in the file take precedence."""
    inputs = ["input_ids", "attention_mask"]
    if dialect_of(model.config.family).segments:
        inputs.insert(1, "token_type_ids")
    longest = {"model_max_length": model.config.positions} if model.config.positions else {}
    return {**_names(model, tokenizer), **longest, "model_input_names": inputs}


def _names(model: Transformer, tokenizer: Tokenizer) -> dict[str, str]:
    """Their names of roles → tokens."""
    begins = dialect_of(model.config.family).begins
    roles = {"pad_token": "pad", "bos_token": begins, "eos_token": "sep"}
    return {name: tokenizer.named[role] for name, role in roles.items() if role in tokenizer.named}


def with_rows(tokenizer: Tokenizer, family: str) -> dict[str, Any]:
    """tokenizer.json with the family's row template, unless it has one; the mask token absorbs the space before it."""
    dialect = dialect_of(family)
    return framed(tokenizer, dialect.one, dialect.two)


def framed(tokenizer: Tokenizer, one: str | None, two: str | None = None) -> dict[str, Any]:
    """The same with templates of rows with one and two texts, as in `Dialect`."""
    backend = Backend.from_str(tokenizer.backend.to_str())
    bare, in_rows = (backend.encode("a", add_special_tokens=put).ids for put in (False, True))
    if one is not None and bare == in_rows:
        template = _template(tokenizer, one, two)
        before = backend.post_processor
        backend.post_processor = template if before is None else Sequence([before, template])
    made: dict[str, Any] = json.loads(backend.to_str())
    for token in made["added_tokens"]:
        token["lstrip"] |= token["content"] == tokenizer.named.get("mask")
    return made


def _template(tokenizer: Tokenizer, one: str, two: str | None) -> TemplateProcessing:
    names = {role: tokenizer.named[role] for role in ("cls", "sep") if role in one}

    def spell(row: str) -> str:
        for role, token in names.items():
            row = row.replace(role, token)
        return row

    special = [(token, tokenizer.role(role)) for role, token in names.items()]
    return TemplateProcessing(single=spell(one), pair=spell(two) if two else None, special_tokens=special)
