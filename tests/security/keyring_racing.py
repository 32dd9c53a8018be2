"""One of several processes that use a keyring at the same time. Run as a script.

    python keyring_racing.py RING SEED COUNT

Waits for a line on stdin, asks for COUNT keys in an order of its own and prints their ids by name.
"""

import json
import random
import sys

from llmspell.security.keyring import Keyring
from llmspell.security.keys import MasterKey

ring, seed, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
names = [f"session:{number}" for number in range(count)]
random.Random(seed).shuffle(names)
print("ready", flush=True)
sys.stdin.readline()
with Keyring.open(ring, MasterKey(b"m" * 32), bytes(16), create=True) as keyring:
    made = {name: keyring.data_key(name).id.hex() for name in names}
    # What another process made meanwhile is readable by its id too.
    assert all(keyring.key(bytes.fromhex(one)).id.hex() == one for one in made.values())
    assert made == {name: keyring.data_key(name).id.hex() for name in names}
print(json.dumps(made, sort_keys=True))
