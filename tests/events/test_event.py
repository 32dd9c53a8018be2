"""Events and positions: what they hold, and that a saved position is read back exactly or refused."""

import dataclasses
import pickle
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmspell.errors import InvalidInput
from llmspell.events.event import Position
from tests.events.journal import TIMELINE, event, head_hash

positions = st.builds(Position, timeline=st.text(max_size=40), seq=st.integers(0, 2**63), head=st.text(max_size=64))


@given(positions)
def test_a_position_survives_its_text(position):
    text = str(position)
    assert Position.parse(text) == position
    assert text.isascii()
    assert text.split() == [text]


@given(positions, st.data())
def test_a_text_with_one_character_changed_or_cut_is_refused(position, data):
    text = str(position)
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from("aA0-_.=é").filter(lambda char: char != text[at]))
    for wrong in (text[:at], text[:at] + other + text[at + 1 :], text + other, text[:at] + text[at + 1 :] + " "):
        with pytest.raises(InvalidInput) as caught:
            Position.parse(wrong)
        assert caught.value.code == "invalid-position"


@pytest.mark.parametrize("wrong", ["", "p1.", "p1.AAAA", "start", "12", None, 12, b"p1.", "p1." + "A" * 5000])
def test_what_is_no_position_is_refused(wrong):
    with pytest.raises(InvalidInput) as caught:
        Position.parse(wrong)
    assert caught.value.code == "invalid-position"


@pytest.mark.parametrize("wrong", [("t", -1, "h"), ("t", True, "h"), ("t", 1.0, "h"), (None, 1, "h"), ("t", 1, b"h")])
def test_a_position_of_wrong_parts_is_refused(wrong):
    with pytest.raises(InvalidInput) as caught:
        Position(*wrong)
    assert caught.value.code == "invalid-position"


def test_an_event_is_frozen_and_knows_its_time_and_position():
    seen = dataclasses.replace(event(7), time_ns=1_700_000_000_123_456_789)
    assert seen.time == datetime(2023, 11, 14, 22, 13, 20, 123456, tzinfo=UTC)
    assert seen.position == Position(TIMELINE, 7, head_hash(TIMELINE, 7))
    assert len({seen, dataclasses.replace(seen)}) == 1
    assert pickle.loads(pickle.dumps(seen)) == seen  # noqa: S301 - our own bytes
    with pytest.raises(dataclasses.FrozenInstanceError):
        seen.seq = 8


def test_an_event_expires_at_its_very_nanosecond():
    assert not event(1).expired(2**70)
    assert [event(1, expires_ns=10).expired(now) for now in (9, 10, 11)] == [False, True, True]
