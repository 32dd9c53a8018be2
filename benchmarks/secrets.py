"""How well secrets are found: ``python -m benchmarks.secrets`` makes a labelled set and prints recall and precision.

The set is made from a seed: secrets as their issuers make them (prefix, alphabet, length; nothing is taken from a real
one, and none stands in this file), in the places where they turn up, plain and encoded; and decoys, which look like
secrets to a naive eye: digests, ids, source code, prose about passwords. Exit status 3 when a bound is missed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import re
import string
import sys
import time
import uuid
from base64 import b64encode, urlsafe_b64encode
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from urllib.parse import quote

from benchmarks import chosen_secrets
from llmspell.security.redaction import Redactor

RECALL_MIN, PRECISION_MIN = 0.97, 0.95
LETTERS, DIGITS = string.ascii_letters, string.digits
ALNUM = LETTERS + DIGITS
UPPER32 = string.ascii_uppercase + "234567"
BECH32 = "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L"
HEX = "0123456789abcdef"
URLSAFE = ALNUM + "-_"
Make = Callable[[random.Random], str]


def drawn(prefix: str, alphabet: str, length: int, suffix: str = "") -> Make:
    """Secrets of one shape."""
    return lambda rng: prefix + "".join(rng.choices(alphabet, k=length)) + suffix


def _jwt(rng: random.Random) -> str:
    def part(value: Any) -> str:
        return urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    head = part({"alg": rng.choice(["HS256", "RS256", "ES256"]), "typ": "JWT"})
    body = part(
        {"sub": str(rng.randrange(10**9)), "name": rng.choice(["Ada", "Grace", "Alan"]), "iat": rng.randrange(10**9)}
    )
    return f"{head}.{body}.{''.join(rng.choices(URLSAFE, k=43))}"


def _pem(rng: random.Random) -> str:
    kind = rng.choice(["RSA ", "EC ", "OPENSSH ", ""])
    lines = ["".join(rng.choices(ALNUM + "+/", k=64)) for _ in range(rng.randrange(4, 26))]
    return "\n".join((f"-----BEGIN {kind}PRIVATE KEY-----", *lines, f"-----END {kind}PRIVATE KEY-----"))


def _card(rng: random.Random) -> str:
    start, length = rng.choice([("4", 16), ("51", 16), ("55", 16), ("37", 15), ("6011", 16), ("2720", 16)])
    digits = [int(char) for char in start] + [rng.randrange(10) for _ in range(length - len(start) - 1)]
    doubled = [d * 2 - 9 if d > 4 else d * 2 for d in digits[::-1][::2]]
    digits.append(-(sum(doubled) + sum(digits[::-1][1::2])) % 10)
    text = "".join(map(str, digits))
    gap = rng.choice(["", " ", "-"])
    return gap.join(text[at : at + 4] for at in range(0, len(text), 4)) if length == 16 else text


def _password(rng: random.Random) -> str:
    word = rng.choice(["Sommer", "dragon", "Paris", "monkey", "Winter", "blue"])
    return rng.choice([
        word + str(rng.randrange(10, 9999)) + rng.choice("!$#?*"),
        "".join(rng.choices(ALNUM + "!$#*-_+", k=rng.randrange(10, 20))) + rng.choice("!7"),
    ])  # fmt: skip


def _connection(rng: random.Random) -> str:
    scheme = rng.choice(["postgres", "postgresql+psycopg", "mysql", "mongodb+srv", "redis", "amqp", "https"])
    secret = "".join(rng.choices(ALNUM + "-_!", k=rng.randrange(8, 24)))
    return f"{scheme}://{rng.choice(['app', 'admin', 'svc'])}:{secret}@{rng.choice(['db.internal', '10.0.0.7', 'host'])}:5432/main"


def _discord(rng: random.Random) -> str:
    return (
        "M"
        + "".join(rng.choices(ALNUM, k=25))
        + "."
        + "".join(rng.choices(URLSAFE, k=6))
        + "."
        + drawn("", URLSAFE, 38)(rng)
    )


KINDS: dict[str, Make] = {
    "aws access key": drawn("AKIA", UPPER32, 16),
    "aws secret key": lambda rng: f"aws_secret_access_key={''.join(rng.choices(ALNUM + '/+', k=39))}7",
    "gcp api key": drawn("AIza", URLSAFE, 34, "x"),
    "gcp oauth token": drawn("ya29.", URLSAFE, 80, "a"),
    "google client secret": drawn("GOCSPX-", URLSAFE, 27, "x"),
    "azure storage": lambda rng: f"AccountName=a;AccountKey={''.join(rng.choices(ALNUM + '+/', k=86))}==;EndpointSuffix=core",
    "github classic": drawn("ghp_", ALNUM, 36),
    "github fine-grained": lambda rng: f"github_pat_{drawn('', ALNUM, 22)(rng)}_{drawn('', ALNUM, 59)(rng)}",
    "gitlab": drawn("glpat-", URLSAFE, 19, "z"),
    "bitbucket": drawn("ATBB", ALNUM, 32),
    "openai project": drawn("sk-proj-", URLSAFE, 120, "A"),
    "openai classic": drawn("sk-", ALNUM, 48),
    "deepseek": drawn("sk-", HEX, 32),
    "anthropic": drawn("sk-ant-api03-", URLSAFE, 94, "A"),
    "hugging face": drawn("hf_", LETTERS, 34),
    "groq": drawn("gsk_", ALNUM, 52),
    "slack": lambda rng: f"xoxb-{rng.randrange(10**11, 10**12)}-{rng.randrange(10**12, 10**13)}-{drawn('', ALNUM, 24)(rng)}",
    "slack webhook": lambda rng: f"https://hooks.slack.com/services/T{drawn('', UPPER32, 8)(rng)}/B{drawn('', UPPER32, 8)(rng)}/"
    + drawn("", ALNUM, 24)(rng),
    "stripe": drawn("sk_" + "live_", ALNUM, 24),
    "twilio": drawn("SK", HEX, 32),
    "sendgrid": lambda rng: f"SG.{drawn('', ALNUM, 22)(rng)}.{drawn('', ALNUM, 43)(rng)}",
    "npm": drawn("npm_", ALNUM, 36),
    "pypi": drawn("pypi-AgEIcHlwaS5vcmc", URLSAFE, 130, "A"),
    "docker": drawn("dckr_pat_", ALNUM, 27),
    "digitalocean": drawn("dop_v1_", HEX, 64),
    "databricks": drawn("dapi", HEX, 32),
    "shopify": drawn("shpat_", HEX, 32),
    "vault": drawn("hvs.", ALNUM, 90),
    "telegram": lambda rng: f"{rng.randrange(10**8, 10**9)}:AA{drawn('', ALNUM, 33)(rng)}",
    "discord": _discord,
    "jwt": _jwt,
    "age key": drawn("AGE-SECRET-KEY-1", BECH32, 58),
    "private key": _pem,
    "connection string": _connection,
    "payment card": _card,
    "bearer header": lambda rng: f"Authorization: Bearer {drawn('', ALNUM, 40)(rng)}",
    "password in text": lambda rng: f"{rng.choice(['password', 'PASSWORD', 'db_password', 'passwd'])}{rng.choice(['=', ': '])}{_password(rng)}",
    "named token": lambda rng: f"{rng.choice(['api_key', 'API_KEY', 'client_secret', 'access_token'])}{rng.choice(['=', ': '])}"
    + drawn("", ALNUM, 32)(rng),
    **chosen_secrets.KINDS,
}  # fmt: skip
FIELDS: dict[str, tuple[tuple[str, ...], Make]] = {
    "password field": (("password", "dbPassword", "user_passwd", "passphrase"), _password),
    "key field": (("api_key", "apiKey", "x-api-key", "secret_key", "privateKey"), drawn("", ALNUM, 32)),
    "token field": (("access_token", "authToken", "refresh_token"), drawn("", URLSAFE, 43, "9")),
    **chosen_secrets.FIELDS,
}
SENTENCES = ("use {} for the staging host", "{}", "the call failed with {} in the header, see the log", "key is {}.", "curl -H '{}'",
             "# old: {} # new: later", "({})", "value,{},7", "\n{}\n")  # fmt: skip


def _plain(text: str, rng: random.Random) -> Any:
    return {"note": rng.choice(SENTENCES).format(text)}


def _json_escaped(text: str, rng: random.Random) -> Any:
    inner = json.dumps({"model": "m", "content": rng.choice(SENTENCES).format(text)})
    return {"body": json.dumps({"inner": inner}) if rng.random() < 0.3 else inner.replace("/", "\\/")}


def _url_encoded(text: str, _rng: random.Random) -> Any:
    return {"url": f"https://host.example/hook?x=1&data={quote('v ' + text, safe='')}&y=2"}


def _base64(text: str, rng: random.Random) -> Any:
    body = json.dumps({"n": rng.randrange(99), "data": text}).encode()
    return {"blob": "data:" + (b64encode if rng.random() < 0.5 else urlsafe_b64encode)(body).decode()}


def _token(text: str, rng: random.Random) -> str:
    """The text in base64, at each place within a group of three bytes."""
    return b64encode(f"{'v' * rng.randrange(3)} {text}{'>' * rng.randrange(3)}".encode()).decode()


def _url_path(text: str, rng: random.Random) -> Any:
    end = rng.choice(["", "/next", "?page=2"])
    return {
        "url": f"https://host.example/{'o' * rng.randrange(4)}auth/callback/{quote(_token(text, rng), safe='')}{end}"
    }


def _url_query(text: str, rng: random.Random) -> Any:
    back = f"https://host.example/cb?state={_token(text, rng)}&y=2"
    return {"url": f"https://login.example/start?return_to={quote(back, safe='')}"}


def _glued(text: str, rng: random.Random) -> Any:
    before, after = rng.choice(
        [("%3D", "-x"), ("key-", "-1"), ("line\\n", "\\nrest"), ("=", "-----BEGIN"), ("/v1/", "/x")]
    )
    return {"log": f"sent {before}{_token(text, rng)}{after} at last"}


FORMS: dict[str, Callable[[str, random.Random], Any]] = {
    "plain": _plain, "json": _json_escaped, "url": _url_encoded, "base64": _base64,
    "base64 in a path": _url_path, "base64 in a query": _url_query, "base64 in a word": _glued,
}  # fmt: skip


def positives(rng: random.Random, each: int) -> Iterator[tuple[str, str, str, Any]]:
    """Kind, form, the secret, and a value that holds it."""
    for number in range(each):
        form = list(FORMS)[number % len(FORMS)]
        for kind, make in KINDS.items():
            secret = make(rng)
            yield kind, form, secret, FORMS[form](secret, rng)
        for kind, (names, make) in FIELDS.items():
            secret = make(rng)
            value: Any = {(name := rng.choice(names)): [secret] if name.endswith("s") else secret, "user": "ada"}
            if kind == "named value":
                value = {"name": name, "value": secret}
            yield kind, "plain", secret, value if number % 2 else {"text": json.dumps(value)}


WORDS = (
    "agent",
    "memory",
    "token",
    "secret",
    "password",
    "journal",
    "replay",
    "key",
    "session",
    "the",
    "of",
    "store",
    "is",
)
CODE = (
    "def reset_password(user, token): return token == user.token",
    "password = getpass.getpass('Password: ')",
    "api_key = os.environ['OPENAI_API_KEY']",
    "token: str | None = None",
    "if not secret: raise ValueError('secret is required')",
    "PASSWORD_MIN_LENGTH = 12",
    "max_tokens=4096, temperature=0.2",
    "const token = await getToken(session.id)",
    "headers = {'Authorization': f'Bearer {token}'}",
    "client_secret: ${CLIENT_SECRET}",
    "db_password=<your password here>",
    "export API_KEY=your-api-key-goes-here",
    "keyboard: qwertz; monkey: capuchin; tokenizer: cl100k_base",
    "password: ********",
    "self.access_token = response.json()['access_token']",
    "primary_key=True, foreign_key='users.id'",
)


def decoys(rng: random.Random, count: int) -> Iterator[tuple[str, Any]]:
    """Kind, and a value without any secret."""
    makers: dict[str, Callable[[], Any]] = {
        "uuid": lambda: str(uuid.UUID(int=rng.getrandbits(128))),
        "sha256": lambda: hashlib.sha256(rng.randbytes(8)).hexdigest(),
        "git commit": lambda: f"commit {hashlib.sha1(rng.randbytes(8)).hexdigest()}",  # noqa: S324 - looks like one
        "md5 in a manifest": lambda: f"{hashlib.md5(rng.randbytes(8)).hexdigest()}  src/file_{rng.randrange(99)}.py",  # noqa: S324
        "package hash": lambda: f"--hash=sha256:{hashlib.sha256(rng.randbytes(8)).hexdigest()}",
        "integrity": lambda: f"sha512-{b64encode(rng.randbytes(64)).decode()}",
        "image": lambda: f"data:image/png;base64,{b64encode(rng.randbytes(rng.randrange(60, 400))).decode()}",
        "prose": lambda: " ".join(rng.choices(WORDS, k=30)),
        "prose in base64": lambda: b64encode(" ".join(rng.choices(WORDS, k=30)).encode()).decode(),
        "code": lambda: rng.choice(CODE),
        "order number": lambda: f"order {rng.randrange(10**11, 10**12)} of {rng.randrange(10**7, 10**8)}",
        "phone": lambda: f"+49 {rng.randrange(100, 999)} {rng.randrange(10**6, 10**7)}",
        "time": lambda: f"2026-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02}T10:{rng.randrange(60):02}:00.{rng.randrange(10**6):06}Z",
        "nanoseconds": lambda: {"at": rng.randrange(1_700_000_000 * 10**9, 1_800_000_000 * 10**9)},
        "url": lambda: f"https://host.example/a/{rng.randrange(10**6)}?page={rng.randrange(99)}&q={quote('memory of agents')}",
        "base64 in a path": lambda: f"https://host.example/files/{quote(b64encode(rng.randbytes(40)).decode(), safe='')}/raw",
        "prose in a path": lambda: f"/blog/{b64encode(' '.join(rng.choices(WORDS, k=9)).encode()).decode()}-{rng.randrange(99)}",
        "version": lambda: f"v{rng.randrange(9)}.{rng.randrange(99)}.{rng.randrange(99)}-rc.{rng.randrange(9)}+build.{rng.randrange(10**6)}",
        "token counts": lambda: {"max_tokens": rng.randrange(9999), "token": rng.choice(WORDS), "tokens": [1, 2, 3]},
        "authors": lambda: {"author": "Ada Lovelace", "keywords": ["key", "secretary"], "monkey": "capuchin"},
        "near misses": lambda: rng.choice(["AKIA", "ghp_", "sk-", "hf_", "xoxb-", "AIza"]) + "".join(rng.choices(ALNUM, k=9)),
        "floats": lambda: [rng.random() * 10 ** rng.randrange(12) for _ in range(6)],
        "hex dump": lambda: " ".join(f"{byte:02x}" for byte in rng.randbytes(24)),
        "arn": lambda: f"arn:aws:iam::{rng.randrange(10**11, 10**12)}:role/service-{rng.randrange(99)}",
        "class names": lambda: "".join(rng.choice(["Token", "Secret", "Factory", "Manager", "Password"]) for _ in range(6)),
        "path": lambda: "/srv/" + "/".join("".join(rng.choices(string.ascii_lowercase + DIGITS, k=8)) for _ in range(5)),
        **{kind: partial(rng.choice, texts) for kind, texts in chosen_secrets.DECOYS.items()},
        "fingerprint": lambda: "SHA256:" + b64encode(rng.randbytes(32)).decode().rstrip("="),
    }  # fmt: skip
    for number in range(count):
        kind = list(makers)[number % len(makers)]
        value = makers[kind]()
        yield kind, value if isinstance(value, dict) else {"value": value}


CORES = re.compile(
    r"AccountKey=([^;]+);|://\w+:([^@]+)@|https://(\w+)@|(?:password|PASSWORD|passwd)(?:=|: )(.+)$|^\{\"\w+\": \"([^\"]+)\"\}$|>([^<>]+)</\w+>$"
)
"""Where the secret itself stands in texts that hold more than it."""


def _inside(tail: str) -> Callable[[int], str]:
    """What base64 of a longer text has of this one for sure, by how many bytes stand before it in its group."""

    def at(shift: int) -> str:
        data = b"v" * shift + tail.encode()
        return b64encode(data).decode()[-(-shift * 4 // 3) : len(data) * 4 // 3]

    return at


def hidden(secret: str, value: Any) -> bool:
    """Whether nothing usable of the secret is left in a redacted value: not its text, nor any encoding of it."""
    text = json.dumps(value)
    inside = CORES.search(secret)
    core = next(filter(None, inside.groups())) if inside else secret.strip()
    tail = core[-12:] if len(core) >= 24 else core[-6:]
    wanted = (
        tail,
        json.dumps(tail)[1:-1],
        quote(tail, safe=""),
        tail.replace("/", "\\/"),
        *map(_inside(tail), range(3)),
    )
    return not any(one in text for one in wanted) and "[REDACTED" in text


def main() -> int:
    """Print the figures; 0 when both bounds are kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=20261121)
    parser.add_argument("--each", type=int, default=60, help="positives of each kind")
    parser.add_argument("--decoys", type=int, default=10_000)
    given = parser.parse_args()
    rng = random.Random(given.seed)
    redactor = Redactor()
    total, missed = Counter[str](), Counter[str]()
    examples: dict[str, str] = {}
    for kind, form, secret, value in positives(rng, given.each):
        total[kind] += 1
        clean, found = redactor.redact(value)
        if not found or not hidden(secret, clean):
            missed[kind] += 1
            examples.setdefault(kind, f"{form}: {json.dumps(clean)[:140]}")
    wrong = Counter[str]()
    seen, spent = 0, 0.0
    for kind, value in decoys(rng, given.decoys):
        began = time.perf_counter()
        found = redactor.scan(value)
        spent += time.perf_counter() - began
        seen += 1
        if found:
            wrong[kind] += 1
            examples.setdefault(f"decoy: {kind}", f"{found[0].kind} in {json.dumps(value)[:140]}")
    positives_count, lost, false = sum(total.values()), sum(missed.values()), sum(wrong.values())
    recall, precision = 1 - lost / positives_count, (positives_count - lost) / (positives_count - lost + false)
    for kind in sorted(total):
        if missed[kind]:
            print(f"  {kind:<24} {total[kind] - missed[kind]} of {total[kind]} found   {examples[kind]}")
    for kind in sorted(wrong):
        print(f"  decoy: {kind:<17} {wrong[kind]} taken for secrets   {examples[f'decoy: {kind}']}")
    print(f"{positives_count:,} secrets of {len(total)} kinds: recall {recall:.2%} (at least {RECALL_MIN:.0%})")
    print(
        f"{seen:,} decoys: precision {precision:.2%} (at least {PRECISION_MIN:.0%}); {spent / seen * 1e6:.0f} µs a decoy"
    )
    return 0 if recall >= RECALL_MIN and precision >= PRECISION_MIN else 3


if __name__ == "__main__":
    sys.exit(main())
