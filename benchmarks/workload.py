"""What agents keep over time: transcripts that grow by a turn, and large results that are edited a little.

400 transcripts in JSON Lines gain a turn of 2 KB of English in each of 20 generations; 40 results of 1 MiB that do not
compress get five bytes inserted somewhere in each. Together 1,018 MB are stored; what is new in them is some 60 MB.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator

from benchmarks import texts

TRANSCRIPTS = 400
RESULTS = 40
GENERATIONS = 20
RESULT_BYTES = 1 << 20
INSERTED_BYTES = 5
_SEED = 18


def generations(count: int = GENERATIONS) -> Iterator[dict[str, bytes]]:
    """For each generation all artifacts by name, as they are then. The same bytes in every run."""
    rng = random.Random(_SEED)
    turns = texts.pieces(texts.TURN_CHARS)
    transcripts = {f"transcript-{number:03}.jsonl": bytearray() for number in range(TRANSCRIPTS)}
    results = {f"result-{number:02}.bin": bytearray(rng.randbytes(RESULT_BYTES)) for number in range(RESULTS)}
    for generation in range(count):
        for transcript in transcripts.values():
            turn = {"turn": generation, "role": "assistant" if generation % 2 else "user", "content": next(turns)}
            transcript.extend(json.dumps(turn).encode() + b"\n")
        for result in results.values():
            at = rng.randrange(len(result))
            result[at:at] = rng.randbytes(INSERTED_BYTES)
        yield {name: bytes(content) for name, content in (*transcripts.items(), *results.items())}


def digest_of(content: bytes) -> bytes:
    """What a version read back is held against."""
    import blake3

    return blake3.blake3(content).digest()
