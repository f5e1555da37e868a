"""The nesting depth of RDF-star statements, whatever literals, IRIs and comments contain."""

from __future__ import annotations

import pytest

from kg.sources.rdf_nesting import Nesting


def nested(levels: int, inner: bytes = b":x") -> bytes:
    return b"<<( :a :b " * levels + inner + b" )>>" * levels + b" .\n"


@pytest.mark.parametrize(
    ("text", "depth"),
    [
        (b":a :b :c .\n", 0),
        (nested(1), 1),
        (nested(7), 7),
        (nested(3) + nested(4), 4),
        (b'<<( :a :b ">>" )>> .\n', 1),
        (b'<<( :a :b """>> " >>\n""" )>> .\n', 1),
        (b"<<( :a :b '''>>''' )>> .\n", 1),
        (b"<<( :a :b '>>' )>> .\n", 1),
        (b"<<( # >> >>\n :a :b :c )>> .\n", 1),
        (b'<<( <http://a#b> :b "\\">>" )>> .\n', 1),
        (b':a :b "<< << <<" . # << <<\n', 0),
        (b':a :b "" , """<<""" , "<<" .\n', 0),
    ],
)
def test_nesting_depth_of_rdf_star(text: bytes, depth: int) -> None:
    assert Nesting().most(text) == depth


def test_nesting_depth_across_blocks() -> None:
    nesting = Nesting()
    assert nesting.most(b"<<( :a :b <<( :a :b\n") == 2
    assert nesting.most(b'"""begun\n') == 2
    assert nesting.most(b">> >> << << << <<\n") == 2
    assert nesting.most(b'ends""" , <<( :a :b\n') == 3
    assert nesting.most(b":c )>> )>> )>> .\n") == 3
    assert nesting.most(b":a :b :c .\n") == 0
    nesting = Nesting()
    assert nesting.most(b':a :b """begun\n') == 0
    assert nesting.most(b"<< <<\n") == 0
    assert nesting.most(b'""" , <<( :a :b :c )>> .\n') == 1


def test_nesting_check_takes_linear_time() -> None:
    assert Nesting().most(b'"' * 1_000_000 + b"\n") == 0
    assert Nesting().most(b'"""' + b'" "" ' * 300_000 + b"\n") == 0
