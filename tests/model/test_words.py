"""Words: what is typed and what is stored are cut and folded the same."""

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmspell.errors import InvalidInput
from llmspell.model.words import TextQuery, words_in, words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Größe, GROSSE", ["grosse", "grosse"]), ("naïve café", ["naive", "cafe"]), ("a_b-c.d/e", list("abcde")),
        ("東京2024", ["東", "京", "2024"]), ("", []), ("!?", []), ("ﬁne", ["fine"]), ("x" * 100, ["x" * 64]),
        ("İstanbul", ["istanbul"]), ("Ελλάς", ["ελλασ"]),
    ],
)  # fmt: skip
def test_words_are_folded_and_cut(text, words):
    assert words_of(text) == words


@given(st.lists(st.text(max_size=30), max_size=4), st.text(min_size=1, max_size=20))
def test_the_engine_and_a_look_at_the_words_agree(texts, asked):
    try:
        query = TextQuery.parse(asked)
    except InvalidInput:
        return
    words = words_in(texts)
    connection = apsw.Connection(":memory:")
    connection.execute("CREATE VIRTUAL TABLE t USING fts5 (words, tokenize = 'ascii')")
    connection.execute("INSERT INTO t VALUES (?)", (" ".join(words),))
    (found,) = connection.execute("SELECT count(*) FROM t WHERE words MATCH ?", (query.match(),)).fetchone()
    assert bool(found) == query.is_in(words)


@given(st.text(max_size=40))
def test_a_text_is_found_by_each_of_its_words_and_by_itself(text):
    words = words_of(text)
    for word in words:
        assert TextQuery.parse(word).is_in(words)
    if words and len(words) <= 32 and '"' not in text:
        assert TextQuery.parse(f'"{text}"').is_in(words)


def test_no_phrase_reaches_from_one_text_into_the_next():
    assert not TextQuery.parse('"one two"').is_in(words_in(["one", "two"]))
    assert TextQuery.parse('"one two"').is_in(words_in(["one two"]))
