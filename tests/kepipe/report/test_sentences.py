"""Example sentences: those with most mentions, each marked."""

from kepipe.report.sentences import choose, draw
from kg.store import open_graph
from tests.support.world import make_documents, make_graph


def test_sentences_show_their_mentions_with_type_and_label(tmp_path):
    make_graph(tmp_path)
    passages = choose(make_documents(6), most=3)
    assert len({passage.document.id for passage in passages}) == 3
    drawn = draw(passages, open_graph(tmp_path))
    for passage in passages:
        for mention in passage.mentions:
            surface = passage.document.text[mention.start : mention.end]
            assert f">{surface}<small>" in drawn
    assert "<small>city</small>" in drawn
    assert drawn.count("<mark") == sum(len(passage.mentions) for passage in passages)


def test_documents_without_two_mentions_in_a_sentence_are_skipped():
    from dataclasses import replace

    assert choose([replace(document, mentions=document.mentions[:1]) for document in make_documents(3)]) == []
