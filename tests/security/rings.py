"""Keyrings for tests."""

from llmspell.security.keyring import Keyring
from llmspell.security.keys import MasterKey

STORE, MASTER, OTHER = b"s" * 16, MasterKey(b"m" * 32), MasterKey(b"o" * 32)


def opened(ring, master=MASTER, store=STORE, **options):
    """The keyring at a path."""
    return Keyring.open(ring, master, store, **options)


def made(ring, *names):
    """The keys of names in a keyring that is made when it is missing, and closed again."""
    with opened(ring, create=True) as keyring:
        return keyring.data_keys(names)
