"""Words: what is typed and what is stored are cut and folded the same."""

import apsw
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llmspell.errors import InvalidInput
from llmspell.model import limits
from llmspell.model.values import encode_value
from llmspell.model.words import GAP, TextQuery, words_in, words_of, words_of_fields

FOLDS = [
    ("Größe, GROSSE", "grosse grosse"), ("naïve café", "naive cafe"), ("a_b-c.d/e", "a b c d e"), ("", ""), ("!?", ""),
    ("ﬁne", "fine"), ("x" * 100, "x" * 64), ("é" * 100, "e" * 64), ("İstanbul", "istanbul"), ("Ελλάς", "ελλασ"),
    ("Straße", "strasse"), ("x²", "x2"), ("tab\tnew\nline\0nul", "tab new line nul"), ("👍ok", "ok"),
    ("\ud800ok", "ok"),
    ("Łódź Ørsted Đà Æsop cœur ırmak", "lodz orsted da aesop coeur irmak"),
    ("東京2024", "東 京 2024"), ("東京tower", "東 京 tower"), ("人々〇", "人 々 〇"), ("𠮷野", "𠮷 野"),
    ("ｶﾞﾝ", "ガ ン"),
    ("か\u3099き", "が き"), ("한국어를", "한 국 어 를"), ("ข่าว", "ข \u0e48 า ว"), ("辻\U000e0100", "辻"),
    ("हिन्दी", "हिन्दी"), ("ज़मीन", "जमीन"), ("தமிழ்", "தமிழ்"), ("שָׁלוֹם", "שלום"), ("مُحَمَّد", "محمد"),
    ("τῷ ᾳ ᾼ x\u0345", "τω α α x"),
    ("می\u200cخواهم", "می خواهم"), ("e\u00admail \u2066x\u2069 1\ufe0f\u20e3", "email x 1"), ("½", "1 2"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "words"), FOLDS, ids=ascii)
def test_words_are_folded_and_cut(text, words):
    assert words_of(text) == words.split()


TOLD_APART = [
    ("कल", "कुल"), ("कर्म", "करम"), ("かき", "かぎ"), ("ハハ", "パパ"), ("กา", "กู"), ("ข้าว", "ข่าว"), ("café", "cave"),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), TOLD_APART, ids=ascii)
def test_marks_that_make_another_word_are_no_accents(one, other):
    assert not TextQuery.parse(one).is_in(words_in([other]))
    assert not TextQuery.parse(other).is_in(words_in([one]))


WITHIN = [
    ("報告", "今月の報告書"), ("한국어", "한국어를 배운다"), ("ข่าว", "ฉันชอบข่าววันนี้"), ("报", "汇报人"),
    ("カ゛", "カ ゛"),
    ("ガ", "ｶﾞ"), ("अनु*", "अनुवाद"),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "text"), WITHIN, ids=ascii)
def test_a_word_is_found_where_nobody_writes_blanks(asked, text):
    assert TextQuery.parse(asked).is_in(words_in([text]))


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ('bees "wax and honey" vis*', ["bees", "wax and honey", "vis*"]), ("report.md", ["report md"]),
        ('"bees wa"*', ["bees wa*"]), ('"bees', ["bees"]), ('bees"wax hive"', ["bees", "wax hive"]),
        ("bees BEES béés", ["bees"]), ("bees bees*", ["bees", "bees*"]), ("- + bees", ["bees"]), ("*bees", ["bees"]),
        ("bees*,", ["bees"]), ("a OR b", ["a", "or", "b"]), ("東京*", ["東 京*"]), ('""', []), ('"*"', []), (" \t", []),
    ],
    ids=ascii,
)  # fmt: skip
def test_a_query_is_terms_phrases_and_beginnings_and_nothing_else(text, terms):
    if not terms:
        with pytest.raises(InvalidInput) as refused:
            TextQuery.parse(text)
        assert refused.value.code == "invalid-text-query"
        return
    assert [" ".join(term.words) + "*" * term.prefix for term in TextQuery.parse(text).terms] == terms


@pytest.mark.parametrize("text", ["a" * (limits.SEARCH_CHARS_MAX + 1), "x " * 500_000, 5, b"job", ["job"], None, "\0"])
def test_a_query_that_is_none_is_refused(text):
    with pytest.raises(InvalidInput) as refused:
        TextQuery.parse(text)
    assert refused.value.code == "invalid-text-query"


@pytest.fixture(scope="module")
def engine():
    connection = apsw.Connection(":memory:")
    connection.execute("CREATE VIRTUAL TABLE t USING fts5 (words, tokenize = 'ascii', columnsize = 0)")
    yield connection
    connection.close()


def found_by(engine, words, query):
    """What the engine says of one row of words."""
    engine.execute("DELETE FROM t")
    engine.execute("INSERT INTO t VALUES (?)", (words,))
    return bool(engine.execute("SELECT count(*) FROM t WHERE words MATCH ?", (query.expression(),)).fetchone()[0])


# Few letters, so that phrases and beginnings meet; and anything at all.
LETTERS = st.text(alphabet='abA é*" .-ß東京\u3099かก\u0e48हि्\u0301\u200d\u200c\u00b6\n', max_size=24)
ANY = st.one_of(LETTERS, st.text(max_size=20))


@given(st.lists(ANY, max_size=4), ANY)
@example(["ab", "a b"], '"a b"*')
@example(["a b"], "¶")
@example(["a", "b"], '"a ¶ b"')
def test_the_engine_and_a_look_at_the_words_agree(engine, texts, asked):
    try:
        query = TextQuery.parse(asked)
    except InvalidInput:
        assert not words_of(asked.replace('"', " "))
        return
    words = words_in(texts)
    assert found_by(engine, words, query) == query.is_in(words)


@given(st.lists(LETTERS, min_size=1, max_size=3), st.data())
def test_what_is_taken_from_a_text_finds_it_in_the_engine_and_in_a_look(engine, texts, data):
    words = words_in(texts)
    held = [word for word in words.split() if word != GAP]
    if not held:
        return
    at = data.draw(st.integers(0, len(held) - 1))
    word = held[at]
    begun = word[: data.draw(st.integers(1, len(word)))]
    for asked in (word, f"{begun}*"):
        query = TextQuery.parse(asked)
        assert found_by(engine, words, query) == query.is_in(words)
    assert TextQuery.parse(word).is_in(words)


def fields(text):
    value = st.recursive(
        st.one_of(text, st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.booleans(), st.none()),
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(text, inner, max_size=3)),
        max_leaves=4,
    )
    return st.tuples(text, text, st.lists(text, max_size=2), st.dictionaries(text, value, max_size=3))


@given(st.one_of(fields(ANY), fields(st.text(alphabet='abA 1.\n\\"', max_size=12))), ANY)
def test_a_row_is_judged_by_its_words_however_quickly(row, asked):
    name, description, tags, metadata = row
    try:
        query = TextQuery.parse(asked)
        stored = (name, description, encode_value(tags).decode(), encode_value(metadata).decode())
    except InvalidInput:
        return
    assert query.fits(*stored) == query.is_in(words_of_fields(*stored))


@given(st.text(max_size=40))
def test_a_text_is_found_by_itself(text):
    words = words_in([text])
    if words and '"' not in text:
        assert TextQuery.parse(f'"{text}"').is_in(words)
        assert TextQuery.parse(text).is_in(words)


@given(st.text(max_size=40))
def test_texts_that_look_the_same_have_the_same_words(text):
    from unicodedata import normalize

    assert len({tuple(words_of(normalize(form, text))) for form in ("NFC", "NFD", "NFKC", "NFKD")}) == 1


def test_no_phrase_reaches_from_one_text_into_the_next():
    assert not TextQuery.parse('"one two"').is_in(words_in(["one", "two"]))
    assert TextQuery.parse('"one two"').is_in(words_in(["one two"]))
    assert not TextQuery.parse("東京").is_in(words_in(["x東", "京"]))


def test_metadata_is_found_by_its_names_texts_and_numbers():
    metadata = '{"user": {"id": 7, "big": 1180591620717411303424}, "kinds": ["a", 1.5, 1e16, true, null]}'
    words = words_of_fields("n", "", '["t-1"]', metadata)
    for asked in ("user", "id", "7", "1180591620717411303424", "1.5", "t-1", "kinds"):
        assert TextQuery.parse(asked).is_in(words), asked
    for asked in ("true", "null", "none", '"user id"'):
        assert not TextQuery.parse(asked).is_in(words), asked


def test_a_thousand_characters_of_different_words_are_asked_for_without_an_error(engine):
    for text in (" ".join(map(chr, range(0x100, 0x2F4))), "東京" * 500, "\ufdfa" * 1000, "a* b* " * 166):
        query = TextQuery.parse(text)
        assert found_by(engine, words_in([text.replace("*", "")]), query) is True
