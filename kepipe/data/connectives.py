"""Discourse connectives: words at the beginning of a sentence that state its relation to the previous sentence.

The relations are the four classes of the Penn Discourse Treebank (Prasad et al. 2008, §3.2). A connective that is also
an ordinary adverb is listed with a comma, and only matches with one.
"""

from __future__ import annotations

from collections.abc import Mapping

from kepipe.data.script import Language

Connectives = Mapping[str, tuple[str, ...]]
"""Relation → its connectives."""

CONNECTIVES: Mapping[Language, Connectives] = {
    "en": {
        "comparison": (
            "but", "however", "nevertheless", "nonetheless", "by contrast", "in contrast", "conversely",
            "on the contrary", "on the other hand", "even so", "still,", "yet", "instead,", "rather,",
        ),
        "contingency": (
            "therefore", "thus", "hence", "consequently", "accordingly", "as a result", "as a consequence",
            "for this reason", "because of this", "so,", "otherwise,",
        ),
        "expansion": (
            "for example", "for instance", "moreover", "furthermore", "in addition", "additionally", "besides,",
            "also,", "in fact,", "indeed", "similarly", "likewise", "in particular", "specifically", "in other words",
            "in general,",
        ),
        "temporal": (
            "then", "later,", "afterwards", "afterward", "subsequently", "meanwhile", "at the same time", "previously,",
            "eventually", "finally", "soon after", "in the meantime",
        ),
    },
    "zh": {
        "comparison": ("但是", "但", "然而", "不过", "可是", "相反", "反之", "与此相反", "尽管如此", "却"),
        "contingency": ("因此", "所以", "因而", "于是", "由此", "故此", "结果", "为此", "否则"),
        "expansion": (
            "例如", "比如", "譬如", "此外", "另外", "而且", "并且", "同样", "事实上", "实际上", "总之",
            "也就是说", "换言之", "尤其", "其中",
        ),
        "temporal": ("然后", "后来", "随后", "此后", "之后", "接着", "最后", "最终", "与此同时", "当时", "不久"),
    },
}  # fmt: skip
