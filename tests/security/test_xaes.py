"""XAES-256-GCM against the vectors of its specification (c2sp.org/XAES-256-GCM)."""

import hashlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from llmspell.security.xaes import Xaes

NONCE = b"ABCDEFGHIJKLMNOPQRSTUVWX"
TEXT = b"XAES-256-GCM"
VECTORS = (
    (1, b"", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"),
    (3, b"c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"),
)


@pytest.mark.parametrize(("byte", "associated", "sealed"), VECTORS)
def test_the_vectors_of_the_specification_hold(byte, associated, sealed):
    cipher = Xaes(bytes([byte]) * 32)
    assert cipher.encrypt(NONCE, TEXT, associated).hex() == sealed
    assert cipher.decrypt(NONCE, bytes.fromhex(sealed), associated) == TEXT


def test_ten_thousand_random_messages_come_to_the_specified_digest():
    rounds = 10_000
    stream = memoryview(hashlib.shake_128().digest(rounds * (32 + 24 + 2 * 256)))
    at = 0

    def take(count):
        nonlocal at
        at += count
        return bytes(stream[at - count : at])

    total = hashlib.shake_128()
    for _ in range(rounds):
        cipher, nonce = Xaes(take(32)), take(24)
        text = take(take(1)[0])
        associated = take(take(1)[0])
        sealed = cipher.encrypt(nonce, text, associated)
        assert cipher.decrypt(nonce, sealed, associated) == text
        total.update(sealed)
    assert total.hexdigest(32) == "e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939"


def test_threads_may_share_a_cipher():
    cipher = Xaes(b"\1" * 32)
    nonces = [number.to_bytes(24) for number in range(2000)]
    with ThreadPoolExecutor(4) as pool:
        sealed = list(pool.map(lambda nonce: cipher.encrypt(nonce, TEXT, b""), nonces))
    assert sealed == [Xaes(b"\1" * 32).encrypt(nonce, TEXT, b"") for nonce in nonces]
