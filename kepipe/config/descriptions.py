"""Docstrings under the fields of a class, which describe settings in the JSON Schema of a pipeline file.

They are read from the source when the schema is asked for: pydantic's `use_attribute_docstrings` reads them whenever a
class is made, which is a seventh of the time of `kepipe config check`.
"""

from __future__ import annotations

import ast
import inspect
from functools import cache
from itertools import pairwise
from textwrap import dedent


def field_descriptions(section: type) -> dict[str, str]:
    """Field → the docstring under it, in the class or in the nearest base that declares it."""
    described: dict[str, str] = {}
    for base in reversed(section.__mro__):
        if "__annotations__" in vars(base) and base.__module__.partition(".")[0] != "pydantic":
            described |= _own(base)
    return described


@cache
def _own(section: type) -> dict[str, str]:
    (definition,) = ast.parse(dedent(inspect.getsource(section))).body
    assert isinstance(definition, ast.ClassDef)
    described: dict[str, str] = {}
    for field, below in pairwise(definition.body):
        if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
            continue
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            described[field.target.id] = inspect.cleandoc(str(below.value.value))
    return described
