"""Windows of the perplexity probe score each token once."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kepipe.data.document import Document, Mention
from kepipe.probes.windows import _measures, cut_windows, draw_windows
from kepipe.tokenization.training import train_tokenizer

TEXT = "Zwölf Monde kreisen. 月球 goes around the Earth,\nand  Mars has two small moons: Phobos and Deimos."
TOKENIZERS = {
    kind: train_tokenizer([TEXT] * 4, kind, size, True)
    for kind, size in (("bpe", 420), ("wordpiece", 300), ("unigram", 160))
}


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_every_token_after_the_first_window_is_scored_once(kind):
    tokenizer = TOKENIZERS[kind]
    cut = cut_windows([Document("a", TEXT), Document("b", "Mars"), Document("c", TEXT)], tokenizer, 5)
    tokens = tokenizer.encode([TEXT]).tokens
    assert np.concatenate(cut.targets).tolist() == tokens[5:].tolist() * 2
    ours = [prompt for prompt, of in zip(cut.prompts, cut.documents, strict=True) if of == 0]
    assert np.concatenate(ours).tolist() == tokens[: 5 * len(ours)].tolist()
    assert set(cut.documents) == {0, 2}


@settings(max_examples=50, deadline=None)
@given(st.text(alphabet="ab é月 \n🌍", min_size=1, max_size=60), st.integers(1, 6))
def test_words_and_bytes_of_the_text_are_counted_once(text, size):
    tokenizer = TOKENIZERS["bpe"]
    cut = cut_windows([Document("a", text)], tokenizer, size)
    encoded = tokenizer.encode([text])
    if not len(cut):
        assert len(encoded.tokens) <= size
        return
    rest = text[encoded.starts[size] :]
    before = text[: encoded.starts[size]]
    inside_word = bool(before) and not before[-1].isspace() and not rest[0].isspace()
    assert cut.bytes.sum() == len(rest.encode())
    assert cut.words.sum() == len(rest.split()) - inside_word


def test_prompt_has_the_mentions_that_are_whole_in_it():
    """From its first to its last token; a mention that is cut by the end of a prompt belongs to none."""
    tokenizer = TOKENIZERS["wordpiece"]
    encoded = tokenizer.encode([TEXT])
    starts, ends = encoded.starts.tolist(), encoded.ends.tolist()
    spans = {"first": (0, 2), "last": (3, 5), "cut": (4, 6), "next": (5, 6)}
    mentions = [Mention(starts[begin], ends[end - 1], name) for name, (begin, end) in spans.items()]
    found = [cut_windows([Document("a", TEXT, mentions=[each])], tokenizer, 5).named for each in mentions]
    named = {
        name: [[span[:2] for span in window] for window in windows[:2]]
        for name, windows in zip(spans, found, strict=True)
    }
    assert named == {"first": [[(0, 2)], []], "last": [[(3, 5)], []], "cut": [[], []], "next": [[], [(0, 1)]]}


def test_too_short_documents_are_an_error():
    with pytest.raises(ValueError, match="no held-out document has more than 62 tokens"):
        draw_windows([Document("a", "Mars")], TOKENIZERS["bpe"], np.random.default_rng(0))


def test_windows_are_drawn_up_to_the_maximum_of_tokens():
    documents = [Document("a", TEXT), Document("b", TEXT)]
    tokenizer, rng = TOKENIZERS["bpe"], np.random.default_rng(0)
    every = draw_windows(documents, tokenizer, rng, length=14)
    assert {len(prompt) for prompt in every.prompts} == {5}
    assert len(every) == len(cut_windows(documents, tokenizer, 5)) > 4
    for tokens, windows in ((1, 1), (5, 1), (14, 2), (15, 3)):
        drawn = draw_windows(documents, tokenizer, rng, length=14, max_tokens=tokens)
        assert len(drawn) == len(drawn.tokens) == windows
        assert (np.diff(drawn.documents) >= 0).all()


def test_words_and_bytes_are_counted_before_each_character():
    """At both ends of each range of code points that are encoded in as many bytes."""
    text = "\x7f\x80 \u07ff\u0800\uffff \U00010000"
    words, sizes = _measures(text)
    assert sizes.tolist() == [len(text[:place].encode()) for place in range(len(text) + 1)]
    assert words.tolist() == [0, 1, 1, 1, 2, 2, 2, 2, 3]
