"""Chinese passages of a page have `lang="zh"`, so that browsers choose their glyphs and voices."""

from __future__ import annotations

import re

from kepipe.report.page import Page, Quotes, Section, Table, Text, render


def test_chinese_passages_are_marked_and_others_are_not() -> None:
    passages = Quotes((("", "北京是中国的首都。", ""), ("", "Berlin is the capital of Germany.", "")))
    table = Table(("name", "times"), (("柏林", 3), ("Berlin", 4)))
    page = Page(
        "t",
        "k",
        "h",
        sections=(Section("s", "S", (passages, Text("柏林是德国的首都。"), Text("Words."), table)),),
    )
    html = render(page)
    marked = re.findall(r'<(\w+)[^>]* lang="zh"[^>]*>\s*([^<]*)', html)
    assert [text.strip() for _, text in marked] == ["北京是中国的首都。", "柏林是德国的首都。", "柏林"]
    assert '<html lang="en"' in html
