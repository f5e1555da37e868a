"""Wikitext → plain paragraphs, with the link anchors as offsets into them.

Tables, references, files, categories and templates are removed, except the few templates whose argument is running
text. During parsing, anchors are marked by private-use characters in the text, so that the clean-up by regular
expressions keeps them; the last step turns them into offsets.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from kepipe.data.document import Mention

if TYPE_CHECKING:
    from mwparserfromhell.nodes import Node, Tag, Template, Wikilink
    from mwparserfromhell.wikicode import Wikicode

OPEN, CLOSE, FIRST = "\ue000", "\ue001", 0xF0000
_MARK = re.compile("(\ue000[\U000f0000-\U000fffff]|\ue001)")
"""A second private-use character after an anchor's opening mark encodes the index of its target."""

DROPPED_TAGS = frozenset(
    {"ref", "references", "table", "gallery", "math", "chem", "timeline", "imagemap", "score", "hiero"}
    | {"syntaxhighlight", "source", "pre", "code", "graph", "noinclude", "includeonly"}
)
DROPPED_SECTIONS = frozenset(
    {"references", "external links", "see also", "further reading", "notes", "bibliography", "footnotes"}
    | {"sources", "notes and references", "citations"}
)
TEXT_ARGUMENT = {"lang": 2, "transl": 2, "nowrap": 1, "nobold": 1, "quote": 1, "blockquote": 1, "cquote": 1}
"""Templates that are replaced by one of their arguments."""
TEXT_CONSTANT = {"ndash": "–", "mdash": "—", "spaced ndash": " – ", "snd": " – ", "nbsp": " ", "'": "'"}

_NAMESPACE = re.compile(
    r"\s*:?\s*(?:(?:file|image|category|media|template|portal|wikipedia|help|special|user)\s*:|[\w-]+:\S)",
    re.IGNORECASE,
)
"""A link that is not to an article: a file, a category, another wiki."""

_CLEAN = [
    # unbalanced markup remains as text in the tree
    (re.compile(r"<ref\b[^>\n]*/>|<ref\b[^\n]*?(?:</ref>|$)", re.IGNORECASE | re.MULTILINE), ""),
    (re.compile(r"^[^\S\n]*(?:\{\||\|[-}+|]?|!)[^\n]*$", re.MULTILINE), ""),
    (
        re.compile(
            r"\{\{[^{}\n]*\}\}|\{\{|\}\}|\[\[(?:File|Image):|\[\[|\]\]|'{2,}|</?[a-z]+\b[^<>\n]*>",
            re.IGNORECASE,
        ),
        "",
    ),
    (re.compile(r"&(?:nbsp|thinsp);"), " "),
    (re.compile(r"[^\S\n]+"), " "),
    (re.compile(r"[([]\s*(?:(?:[,;:–—/-]|or|and)\s*)*[)\]]"), ""),  # what a dropped template leaves
    (re.compile(r"([([])\s*(?:[,;:]\s*)+"), r"\1"),
    (re.compile(r"([([])[^\S\n]+"), r"\1"),
    (re.compile(r"[^\S\n]+([,.;:)\]!?])"), r"\1"),
    (re.compile(r"[^\S\n]+"), " "),
    (re.compile(r"[^\S\n]*\n\s*"), "\n"),
]


def convert(wikitext: str) -> tuple[str, tuple[Mention, ...]]:
    """Plain paragraphs, one per line, and the anchors in them; an anchor's entity is its target's title."""
    import mwparserfromhell

    targets: list[str] = []
    marked = "".join(_walk(mwparserfromhell.parse(_keep_sections(wikitext)).nodes, targets))
    for pattern, replacement in _CLEAN:
        marked = pattern.sub(replacement, marked)
    return _offsets(marked.strip(), targets)


def normalise_title(target: str) -> str:
    """A link's target as a page title: no section, spaces for underscores, first letter in upper case."""
    title = " ".join(target.partition("#")[0].replace("_", " ").split()).lstrip(":")
    return title[:1].upper() + title[1:]


def _keep_sections(wikitext: str) -> str:
    """The text without sections such as references; a section ends at the next heading of its level or above."""
    kept, dropping = [], 0
    for line in wikitext.splitlines():
        if heading := re.fullmatch(r"(={2,6})\s*(.*?)\s*\1\s*", line):
            level = len(heading[1])
            if dropping and level <= dropping:
                dropping = 0
            if not dropping and heading[2].lower() in DROPPED_SECTIONS:
                dropping = level
        if not dropping:
            kept.append(line)
    return "\n".join(kept)


def _walk(nodes: Iterable[Node], targets: list[str]) -> Iterable[str]:
    from mwparserfromhell import nodes as kinds

    for node in nodes:
        if isinstance(node, kinds.Text):
            yield _MARK.sub("", str(node))
        elif isinstance(node, kinds.Wikilink):
            yield _link(node, targets)
        elif isinstance(node, kinds.Tag):
            yield from _tag(node, targets)
        elif isinstance(node, kinds.ExternalLink):
            yield _inside(node.title, targets) if node.brackets else ""
        elif isinstance(node, kinds.HTMLEntity):
            yield node.normalize()
        elif isinstance(node, kinds.Template):
            yield _template(node, targets)
        elif isinstance(node, kinds.Heading):
            yield "\n"


def _inside(code: Wikicode | None, targets: list[str]) -> str:
    return "" if code is None else "".join(_walk(code.nodes, targets))


def _link(node: Wikilink, targets: list[str]) -> str:
    target = str(node.title)
    if _NAMESPACE.match(target):
        return ""  # a file, a category, another wiki
    here = len(targets)
    targets.append(normalise_title(target))
    text = _inside(node.text, targets) if node.text is not None else target.strip(" :").replace("_", " ")
    if not text.strip() or len(targets) > here + 1 or not targets[here]:
        del targets[here:]  # an empty link, a link within a link, a link to a section of its own page
        return _MARK.sub("", text)
    left, right = len(text) - len(text.lstrip()), len(text.rstrip())
    return f"{text[:left]}{OPEN}{chr(FIRST + here)}{text[left:right]}{CLOSE}{text[right:]}"


def _tag(node: Tag, targets: list[str]) -> Iterable[str]:
    name = str(node.tag).strip().lower()
    if name in ("br", "hr"):
        yield "\n"
    elif name not in DROPPED_TAGS:
        yield _inside(node.contents, targets)


def _template(node: Template, targets: list[str]) -> str:
    name = str(node.name).strip().lower()
    if name in TEXT_CONSTANT:
        return TEXT_CONSTANT[name]
    if name in ("convert", "cvt") and node.has("1") and node.has("2"):
        return f"{node.get('1').value} {node.get('2').value}"
    position = TEXT_ARGUMENT.get("lang" if name.startswith("lang-") else name)
    if name.startswith("lang-"):
        position = 1
    if position is not None and node.has(str(position)):
        return _inside(node.get(str(position)).value, targets)
    return ""


def _offsets(marked: str, targets: list[str]) -> tuple[str, tuple[Mention, ...]]:
    pieces, mentions, length, opened = [], [], 0, None
    for piece in _MARK.split(marked):
        if piece.startswith(OPEN):
            opened = (length, targets[ord(piece[1]) - FIRST])
        elif piece == CLOSE:
            if opened is not None and opened[0] < length:
                mentions.append(Mention(opened[0], length, opened[1]))
            opened = None
        else:
            pieces.append(piece)
            length += len(piece)
    return "".join(pieces), tuple(mentions)
