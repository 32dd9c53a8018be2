"""Secrets in long content: what is found and replaced does not depend on how the content comes."""

import random

import pytest

from llmspell.artifacts.captures import screen as screens
from llmspell.artifacts.captures.screen import Screen, Unfit
from llmspell.artifacts.captures.sealed import FRAME_BYTES, Seal, opened
from llmspell.errors import Corrupt
from llmspell.security.redaction import Redactor

TOKEN = "ghp_" + "a1B2c3D4e5F6" * 3
WORDS = "the bees fly from flower to flower and back again. "


def pieces(data, size):
    return [data[at : at + size] for at in range(0, len(data), size)]


def screened(data, size, **options):
    screen = Screen(Redactor().redact, refuse=False, **options)
    return b"".join([*(screen.feed(piece) for piece in pieces(data, size)), screen.finish()]), dict(screen.found)


@pytest.fixture
def small_windows(monkeypatch):
    monkeypatch.setattr(screens, "WINDOW_CHARS", 2000)
    monkeypatch.setattr(screens, "BEYOND_CHARS", 500)
    monkeypatch.setattr(screens, "BEFORE_CHARS", 100)


@pytest.mark.parametrize("size", [1, 7, 1000, 4096, 1 << 20])
def test_each_secret_is_replaced_wherever_it_stands(small_windows, size):
    text = "".join(f"{WORDS * n} use {TOKEN} (é) " for n in range(40))
    clean, found = screened(text.encode(), size)
    assert clean.decode() == text.replace(TOKEN, "[REDACTED]")
    assert found == {"github-token": 40}


@pytest.mark.parametrize("before", range(1480, 1520))
def test_a_secret_across_a_cut_is_found(small_windows, before):
    text = "x " * (before // 2) + "x" * (before % 2) + f" {TOKEN} " + "y " * 4000
    assert screened(text.encode(), 300)[0].decode() == text.replace(TOKEN, "[REDACTED]")


def test_secrets_at_any_place_of_real_windows_are_found():
    rng = random.Random(5)
    text = "".join(WORDS * rng.randrange(2000) + f" {TOKEN} " for _ in range(60))
    assert len(text) > 2 * screens.WINDOW_CHARS
    clean, found = screened(text.encode(), 1 << 16)
    assert clean.decode() == text.replace(TOKEN, "[REDACTED]")
    assert found == {"github-token": 60}


@pytest.mark.parametrize("size", [1, 3, 4096, 1 << 20])
def test_what_holds_no_secret_comes_out_byte_for_byte(small_windows, size):
    data = random.Random(size).randbytes(20_000) + "é€🐝".encode()[:-1] + b"\xff\0\xfe" + WORDS.encode() * 50
    assert screened(data, size) == (data, {})
    assert screened(b"", size) == (b"", {})


@pytest.mark.parametrize(
    "data", [b"\0" + TOKEN.encode(), b"\xff\xd8 " + TOKEN.encode(), f"key {TOKEN} ".encode("utf-16")]
)
def test_a_secret_in_what_is_no_text_is_refused(data):
    with pytest.raises(Unfit) as refused:
        screened(data, 1 << 20)
    assert refused.value.reason == "secret-in-binary"


def test_refusing_stops_at_the_first_secret(small_windows):
    screen = Screen(Redactor().redact, refuse=True)
    out = screen.feed(WORDS.encode() * 100)
    with pytest.raises(Unfit) as refused:
        screen.feed(f"{TOKEN} ".encode() + WORDS.encode() * 100)
    assert refused.value.reason == "secret-found"
    assert TOKEN.encode() not in out


def test_a_field_that_says_twice_what_it_is_hides_nothing():
    screen = Screen(Redactor().redact, refuse=False)
    data = f'{{"a": "{TOKEN}", "a": 1}}'.encode()
    assert TOKEN.encode() not in (screen.feed(screen.json(data) or data) + screen.finish())


@pytest.mark.parametrize("data", [b"[" * 5000, b"{", b'"\\ud800"', b"1e999", b"\xff", b""])
def test_what_only_looks_like_json_is_taken_as_text(data):
    screen = Screen(Redactor().redact, refuse=False)
    assert screen.json(data) is None
    assert screened(data, 10)[0] == data


def test_a_finder_that_does_not_say_where_is_good_for_short_content_only(small_windows):
    class Found:
        kind = "own"

    def redact(value):
        return (value.replace("bees", "…"), [Found()]) if "bees" in value else (value, [])

    screen = Screen(redact, refuse=False)
    assert screen.feed(WORDS.encode()) + screen.finish() == WORDS.replace("bees", "…").encode()
    assert screen.found == {"own": 1}
    screen = Screen(redact, refuse=False)
    with pytest.raises(Unfit) as refused:
        screen.feed(WORDS.encode() * 100)
    assert refused.value.reason == "not-scannable"


# -- sealing -----------------------------------------------------------------------------------------------------------


def toy(path, data):
    return path.encode() + b"|" + bytes(byte ^ 0x55 for byte in data)


def untoy(path, data):
    head, _, body = data.partition(b"|")
    if head != path.encode():
        raise Corrupt("elsewhere", code="sealed-mismatch")
    return bytes(byte ^ 0x55 for byte in body)


@pytest.mark.parametrize(
    "size", [0, 1, FRAME_BYTES - 1, FRAME_BYTES, FRAME_BYTES + 1, 2 * FRAME_BYTES, 2 * FRAME_BYTES + 5]
)
def test_sealed_content_comes_back(size):
    data = random.Random(size).randbytes(size)
    seal = Seal(toy)
    sealed = b"".join([*(seal.feed(piece) for piece in pieces(data, 700_001)), seal.finish()])
    assert opened(sealed, untoy) == data
    for cut in (0, 10, 33, len(sealed) - 1):
        with pytest.raises(Corrupt):
            opened(sealed[:cut], untoy)


def test_frames_that_are_left_out_or_swapped_are_refused():
    seal = Seal(toy)
    parts = [seal.feed(b"a" * (2 * FRAME_BYTES + 1)), seal.finish()]
    first = len(parts[0]) // 2
    head = 18 + 16
    assert opened(b"".join(parts), untoy)
    for broken in (parts[0], parts[0][:head] + parts[1], parts[0] + parts[1] + parts[1], parts[0][:first] + parts[1]):
        with pytest.raises(Corrupt):
            opened(broken, untoy)
