"""What the worker puts as its n-th large artifact."""

BIG = bytes(range(256)) * 1200
"""300 KB that go to the content file as chunks."""


def content(number):
    """Its bytes: each differs from the others by its first ones."""
    return b"%d" % number + BIG
