"""Short forms of Chinese names that a text gives in full elsewhere."""

from __future__ import annotations

import pytest

from kepipe.linking.candidates.chinese_short_forms import short_forms
from kepipe.linking.kb.kinds import KINDS
from kepipe.linking.linker import Linker
from kepipe.linking.text.annotators import ChineseAnnotator
from kg.schema import Entity
from kg.writer import write_graph

ENTITIES = [
    Entity("obama", "贝拉克·奥巴马", (), "", ("human",), 9),
    Entity("michelle", "米歇尔·奥巴马", (), "", ("human",), 5),
    Entity("pku", "北京大学", (), "", ("university",), 9),
    Entity("beijing", "北京", (), "", ("city",), 40),
    Entity("who", "世界卫生组织", (), "", ("organization",), 9),
    Entity("cas", "中国科学院", (), "", ("organization",), 9),
]
PERSON, ORGANISATION = KINDS.index("person"), KINDS.index("organisation")


@pytest.fixture(scope="module")
def linker(tmp_path_factory: pytest.TempPathFactory) -> Linker:
    return Linker.build(
        write_graph(tmp_path_factory.mktemp("chinese") / "graph", ENTITIES, [], {"train": []})
    )


def linked(linker: Linker, text: str) -> list[tuple[str, str]]:
    """Surface and entity of each link, in the order of the text."""
    (annotations,) = ChineseAnnotator().annotate([text])
    mentions = sorted(linker.link(text, annotations), key=lambda mention: mention.start)
    return [(text[mention.start : mention.end], mention.entity) for mention in mentions]


@pytest.mark.parametrize(
    ("name", "kind", "forms"),
    [
        ("贝拉克·奥巴马", PERSON, ("奥巴马",)),
        ("圣·路易斯", KINDS.index("place"), ()),
        ("北京大学", ORGANISATION, ("北大",)),
        ("清华大学", ORGANISATION, ("清华", "清大")),
        ("世界卫生组织", ORGANISATION, ("世卫组织",)),
        ("大学", ORGANISATION, ()),
        ("北京", KINDS.index("place"), ()),
    ],
)
def test_short_forms_of_a_name(name: str, kind: int, forms: tuple[str, ...]) -> None:
    assert short_forms(name, kind) == forms


def test_the_part_after_the_dot_is_linked_to_the_person_named_in_full(linker: Linker) -> None:
    text = "贝拉克·奥巴马昨天抵达上海。奥巴马说他很高兴。"
    assert linked(linker, text) == [("贝拉克·奥巴马", "obama"), ("奥巴马", "obama")]
    assert linked(linker, "奥巴马说他很高兴。") == []


def test_the_nearest_preceding_full_name_is_meant(linker: Linker) -> None:
    text = "贝拉克·奥巴马先到。米歇尔·奥巴马后到,奥巴马笑了。"
    assert linked(linker, text)[-1] == ("奥巴马", "michelle")


def test_initials_of_an_organisation_are_linked_where_they_split_no_word(linker: Linker) -> None:
    text = "他毕业于北京大学。北大在北京。东北大豆很便宜。"
    assert linked(linker, text) == [("北京大学", "pku"), ("北大", "pku"), ("北京", "beijing")]


@pytest.mark.parametrize(
    ("bracket", "short"),
    [("(WHO)", "WHO"), ("(世卫)", "世卫"), ("(以下简称“世卫组织”)", "世卫组织"), ("（简称：卫组）", "卫组")],
)
def test_defined_abbreviations(linker: Linker, bracket: str, short: str) -> None:
    text = f"世界卫生组织{bracket}发表了报告。昨天,{short}否认。"
    assert linked(linker, text)[-1] == (short, "who")


@pytest.mark.parametrize("bracket", ["(见下文)", "(2010)", "(日内瓦)"])
def test_other_brackets_define_nothing(linker: Linker, bracket: str) -> None:
    inside = bracket[1:-1]
    text = f"世界卫生组织{bracket}发表了报告。昨天,{inside}否认。"
    assert linked(linker, text) == [("世界卫生组织", "who")]


def test_texts_of_a_batch_do_not_share_short_forms(linker: Linker) -> None:
    texts = ["贝拉克·奥巴马抵达上海。", "奥巴马说他很高兴。"]
    rows = zip(texts, ["", ""], ChineseAnnotator().annotate(texts), strict=True)
    assert [len(mentions) for mentions in linker.link_all(rows)] == [1, 0]
