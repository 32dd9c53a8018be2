"""Marks on the head, and names of chunks."""

import pytest

from llmspell.errors import Corrupt
from llmspell.model.entry import Head
from llmspell.security.keys import DataKey
from llmspell.security.marks import check_head, chunk_name, head_mark

KEY = DataKey(b"k" * 32, b"i" * 16)
HEAD = Head(7, b"h" * 32, 1_700_000_000_000_000_000)
PLACE = (b"s" * 16, b"timeline")


def test_the_mark_of_a_head_is_accepted():
    check_head(KEY, *PLACE, HEAD, head_mark(KEY, *PLACE, HEAD))


@pytest.mark.parametrize(
    "other",
    [
        (DataKey(b"o" * 32, b"i" * 16), *PLACE, HEAD),
        (KEY, b"o" * 16, b"timeline", HEAD),
        (KEY, b"s" * 16, b"timelinf", HEAD),
        (KEY, *PLACE, HEAD._replace(seq=8)),
        (KEY, *PLACE, HEAD._replace(at=HEAD.at + 1)),
        (KEY, *PLACE, HEAD._replace(hash=b"i" * 32)),
        (KEY, b"e" + b"s" * 15, b"timelin", HEAD),
    ],
)
def test_the_mark_of_another_head_store_timeline_or_key_is_refused(other):
    with pytest.raises(Corrupt) as refused:
        check_head(KEY, *PLACE, HEAD, head_mark(*other))
    assert refused.value.code == "head-mark"


@pytest.mark.parametrize("mark", [b"", bytes(31), bytes(32), bytes(33)])
def test_what_is_no_mark_is_refused(mark):
    with pytest.raises(Corrupt):
        check_head(KEY, *PLACE, HEAD, mark)


def test_a_chunk_has_one_name_under_a_key_and_another_under_another():
    digest = b"d" * 32
    assert chunk_name(KEY, digest) == chunk_name(KEY, digest) != digest
    assert chunk_name(KEY, digest) != chunk_name(DataKey(b"o" * 32, b"i" * 16), digest)
    assert chunk_name(KEY, digest) != head_mark(KEY, *PLACE, HEAD)
