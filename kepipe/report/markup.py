"""Escaping: the only place where untrusted text becomes part of a page or a drawing.

Labels, texts and file names are `str`, and are escaped everywhere in a page. kepipe's own HTML and SVG is `Markup`,
made by `fill`, which escapes the values. ruff forbids imports of `markupsafe` elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from markupsafe import Markup

from kg.characters import in_xml

__all__ = ["Markup", "drawing", "fill", "join", "shown"]


def shown(value: Any) -> Any:
    """A value for display: a text without characters that are invalid in HTML or SVG; other values unchanged."""
    return in_xml(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def fill(template: str, *values: Any) -> Markup:
    """The template, HTML or SVG from the code, with each value inserted for `{}`, escaped unless it is `Markup`."""
    return Markup(template).format(*map(shown, values))


def join(parts: Iterable[Any]) -> Markup:
    """Concatenate the parts; those that are not `Markup` are escaped."""
    return Markup("").join(map(shown, parts))


def drawing(svg: str) -> Markup:
    """An SVG from a library that has escaped its texts: matplotlib, which uses an XML writer of its own.

    Raises ValueError for malformed XML, and for elements that are not allowed in a drawing.
    """
    from xml.etree import ElementTree

    root = ElementTree.fromstring(svg.replace("xlink:href", "href"))
    for element in root.iter():
        kind = element.tag.rpartition("}")[2]
        if kind in _ALIVE or any(name.rpartition("}")[2].startswith("on") for name in element.attrib):
            raise ValueError(f"a drawing with <{kind}>")
    return Markup(svg)


_ALIVE = {"script", "foreignObject", "iframe", "image", "a", "animate", "set", "handler"}
"""Active SVG elements, which are forbidden."""
