"""The bytes of a keyring, and what they mean in memory. No files here.

    header, 256 bytes
      magic "LLMSKEYS", version u16 = 1, 6 zeros
      store id 16, id of the master key 16, number of the rewriting u64, 8 zeros
      nonce 12, lookup key 32 + tag 16, wrapped by the master key; 52 zeros
      checksum 16    BLAKE3 of all above: damage is told from a wrong key
      link 32        keyed BLAKE3 of the 176 bytes before the checksum
      count u64, tag 24     how many records are there at least; keyed BLAKE3 of the link and the count
    record, 128 bytes, any number of them
      type u8        1 a key, 2 an erasure; 3 zeros
      key id 16, lookup 16, nonce 12, data key 32 + tag 16, wrapped by the master key (zeros in an erasure)
      link 32        keyed BLAKE3 of the link before it and the 96 bytes above

Numbers are big-endian. Wrapping is AES-256-GCM with a random nonce: one for each key ever made, far below the 2^32 that
one master key bears. The keys for wrapping and for links are derived from the master key, each for its purpose.

Names are not in the file: ``lookup`` is a keyed BLAKE3 of the name, and its key is wrapped too and outlives a rotation.
All records have one length, so the length of the file tells how many there are and nothing else.

The links authenticate the file as a whole: no record can be changed, dropped, moved or taken from another file without
breaking the chain, except that its end may be cut. That is to put back an older state, which an old copy of the file
does as well and nobody can see without a witness; the count tells it from an accident. A record after the count is
there because a process was killed before it could count it, and is as good as the others when its link holds.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from hmac import compare_digest
from typing import Any

from blake3 import blake3

from llmspell.errors import Corrupt, LimitExceeded, NeedsMigration, WrongKey
from llmspell.model.ids import secret_bytes
from llmspell.security.keys import DataKey, MasterKey

VERSION = 1
HEADER_BYTES = 256
RECORD_BYTES = 128
RECORDS_MAX = 1_000_000
"""Keys and erasures that one keyring holds at most: 128 MB of file, and about 400 MB of memory."""

_MAGIC = b"LLMSKEYS"
_FIELDS = struct.Struct(">8sH6x16s16sQ8x12s48s52x")
_BODY = struct.Struct(">B3x16s16s12s48s")
COUNT_AT = 224
_CHECKSUM_AT, _LINK_AT = 176, 192
_BODY_BYTES = 96
_KEY, _ERASURE = 1, 2
_NOTHING = (bytes(16), bytes(12), bytes(48))
_LINKS = "links of a keyring"


class Ring:
    """What a keyring holds, opened by its master key. Data keys stay wrapped until one is asked for.

    ``lookup`` is the wrapped key of lookups with its nonce; None makes a new one.
    """

    def __init__(self, master: MasterKey, store_id: bytes, rewriting: int, lookup: tuple[bytes, bytes] | None) -> None:
        self.store_id, self.master_id, self.rewriting = store_id, master.id, rewriting
        self._master = master
        self._wrapping = _aesgcm(master.derive("wrapping in a keyring"))
        self._linking = master.derive(_LINKS)
        self._lookup = lookup or self._wrap(secret_bytes(32), b"lookup")
        self._lookup_key = self._unwrap(*self._lookup, b"lookup")
        fields = _FIELDS.pack(_MAGIC, VERSION, store_id, master.id, rewriting, *self._lookup)
        self._link = blake3(fields, key=self._linking).digest()
        self._header = fields + blake3(fields).digest(16) + self._link
        self._bodies: list[bytes] = []
        self._by_name: dict[bytes, int] = {}
        self._by_id: dict[bytes, int] = {}
        self.erased: set[bytes] = set()

    # -- reading -------------------------------------------------------------------------------------------------------

    @classmethod
    def parse(cls, header: bytes, master: MasterKey, store_id: bytes) -> Ring:
        """The ring of a header, without its records yet.

        Raises Corrupt (``not-a-keyring``, ``keyring-damaged``), NeedsMigration (``keyring-version``), WrongKey
        (``wrong-key``, ``wrong-keyring``).
        """
        if header[: len(_MAGIC)] != _MAGIC:
            raise Corrupt("the file is no keyring", code="not-a-keyring", hint="check the path; restore the keyring")
        fields = header[:_CHECKSUM_AT]
        if len(header) < HEADER_BYTES or blake3(fields).digest(16) != header[_CHECKSUM_AT:_LINK_AT]:
            raise damaged("its header")
        _, version, store, master_id, rewriting, *lookup = _FIELDS.unpack(fields)
        if version != VERSION:
            raise NeedsMigration(f"the keyring has version {version}; this one reads {VERSION}", code="keyring-version")
        if master_id != master.id:
            raise WrongKey(
                f"the keyring opens with the master key {short(master_id)}, not with {short(master.id)}",
                hint="nothing was touched; give the key the store was created with, or the one it was rotated to",
            )
        if not compare_digest(blake3(fields, key=master.derive(_LINKS)).digest(), header[_LINK_AT:COUNT_AT]):
            raise damaged("its header")
        if store != store_id:
            raise WrongKey(
                f"the keyring belongs to the store {store.hex()}, not to {store_id.hex()}", code="wrong-keyring"
            )
        return cls(master, store, rewriting, (lookup[0], lookup[1]))

    def is_of(self, header: bytes) -> bool:
        """Whether this is the header that this ring was read from, whatever it counts."""
        return header[:COUNT_AT] == self._header

    def counted(self, header: bytes) -> int | None:
        """How many records a header vouches for; None when the count was torn or damaged."""
        count = header[COUNT_AT : COUNT_AT + 8]
        return int.from_bytes(count) if compare_digest(header[COUNT_AT:HEADER_BYTES], self._count(count)) else None

    def absorb(self, records: bytes) -> int:
        """Take records in, as long as each is whole and linked to the one before; how many that were. 2 µs each."""
        before = len(self)
        for at in range(0, len(records) - RECORD_BYTES + 1, RECORD_BYTES):
            body, link = records[at : at + _BODY_BYTES], records[at + _BODY_BYTES : at + RECORD_BYTES]
            if not compare_digest(self._next(self._link, body), link):
                break
            self._link = link
            self._take(body)
        return len(self) - before

    def __len__(self) -> int:
        return len(self._bodies)

    @property
    def keys(self) -> int:
        """How many data keys there are."""
        return len(self._by_id)

    def knows(self, name: str) -> bool:
        """Whether there is a data key under a name."""
        return self._digest(name) in self._by_name

    def id_of(self, name: str) -> bytes:
        """The id of the data key under a name that is known."""
        return self._bodies[self._by_name[self._digest(name)]][4:20]

    def holds(self, key_id: bytes) -> bool:
        """Whether the data key of this id is here."""
        return key_id in self._by_id

    def key(self, key_id: bytes) -> DataKey:
        """The data key of an id that is here, unwrapped. 3 µs."""
        _, id_, lookup, nonce, wrapped = _BODY.unpack(self._bodies[self._by_id[key_id]])
        return DataKey(self._unwrap(nonce, wrapped, id_ + lookup), id_)

    # -- writing -------------------------------------------------------------------------------------------------------

    def draft(self, names: Iterable[str]) -> bytes:
        """Records of new data keys under names, to follow what is here. They are not taken in yet.

        Raises LimitExceeded (``keyring-full``).
        """
        return self._linked([self._new_body(name) for name in names])

    def count(self, more: int = 0) -> bytes:
        """The end of a header, which vouches for the records that are here and ``more``."""
        return self._count((len(self) + more).to_bytes(8))

    def without(self, names: Iterable[str], ids: Iterable[bytes]) -> tuple[bytes, list[bytes]]:
        """The file without the keys under names and of ids, which it lists as erased, and the ids it lists newly."""
        lookups = {self._digest(name) for name in names}
        wanted = {body[4:20] for body in self._bodies if body[0] == _KEY and body[20:36] in lookups} | set(ids)
        fresh = sorted(wanted - self.erased)
        bodies = [body for body in self._bodies if body[0] == _ERASURE or body[4:20] not in wanted]
        bodies += [_BODY.pack(_ERASURE, id_, *_NOTHING) for id_ in fresh]
        return Ring(self._master, self.store_id, self.rewriting + 1, self._lookup).file(bodies), fresh

    def under(self, master: MasterKey) -> bytes:
        """The file with every key wrapped by another master key. 6 µs a key."""
        wrapper = Ring(master, self.store_id, self.rewriting + 1, None)
        ring = Ring(master, self.store_id, self.rewriting + 1, wrapper._wrap(self._lookup_key, b"lookup"))
        return ring.file([self._rewrapped(body, ring) for body in self._bodies])

    def file(self, bodies: list[bytes]) -> bytes:
        """A whole file of bodies without links, wrapped by this ring's master key. The ring itself is empty."""
        return self._header + self.count(len(bodies)) + self._linked(bodies)

    # -- inside --------------------------------------------------------------------------------------------------------

    def _take(self, body: bytes) -> None:
        kind, id_ = body[0], body[4:20]
        if kind == _KEY:
            self._by_id[id_] = self._by_name[body[20:36]] = len(self)
        elif kind == _ERASURE:
            self.erased.add(id_)
        else:
            raise damaged(f"record {len(self)}")
        self._bodies.append(body)

    def _linked(self, bodies: list[bytes]) -> bytes:
        if len(self) + len(bodies) > RECORDS_MAX:
            raise LimitExceeded(f"a keyring holds at most {RECORDS_MAX:,} keys and erasures", code="keyring-full")
        link, pieces = self._link, []
        for body in bodies:
            link = self._next(link, body)
            pieces += [body, link]
        return b"".join(pieces)

    def _next(self, link: bytes, body: bytes) -> bytes:
        return blake3(link + body, key=self._linking).digest()

    def _count(self, count: bytes) -> bytes:
        return count + blake3(b"count" + self._header + count, key=self._linking).digest(24)

    def _digest(self, name: str) -> bytes:
        return blake3(name.encode(), key=self._lookup_key).digest(16)

    def _new_body(self, name: str) -> bytes:
        id_, lookup = secret_bytes(16), self._digest(name)
        return _BODY.pack(_KEY, id_, lookup, *self._wrap(secret_bytes(32), id_ + lookup))

    def _rewrapped(self, body: bytes, other: Ring) -> bytes:
        kind, id_, lookup, nonce, wrapped = _BODY.unpack(body)
        if kind == _ERASURE:
            return body
        place = id_ + lookup
        return _BODY.pack(kind, id_, lookup, *other._wrap(self._unwrap(nonce, wrapped, place), place))

    def _wrap(self, secret: bytes, place: bytes) -> tuple[bytes, bytes]:
        nonce = secret_bytes(12)
        return nonce, self._wrapping.encrypt(nonce, secret, b"llmspell keyring 1" + self.store_id + place)

    def _unwrap(self, nonce: bytes, wrapped: bytes, place: bytes) -> bytes:
        from cryptography.exceptions import InvalidTag

        try:
            return bytes(self._wrapping.decrypt(nonce, wrapped, b"llmspell keyring 1" + self.store_id + place))
        except InvalidTag:
            raise damaged("a wrapped key") from None


def damaged(what: str) -> Corrupt:
    """The error of a keyring that is not what was written."""
    return Corrupt(f"the keyring is damaged: {what}", code="keyring-damaged", hint="restore it from a copy")


def short(id_: bytes) -> str:
    """The beginning of an id, which is enough to tell two keys apart."""
    return id_.hex()[:8]


def _aesgcm(key: bytes) -> Any:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key)
