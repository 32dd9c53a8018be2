"""Secrets as people choose them, and what looks like one in prose, code and settings: for ``benchmarks.secrets``.

Passwords of letters, words with dashes, short keys; as ``password: …`` in a sentence, in JSON, XML, commands and fields. Beside them the sentences, lines of code and settings that speak of passwords and tokens and hold none.
"""

from __future__ import annotations

import json
import random
import string
from collections.abc import Callable
from typing import Any

Make = Callable[[random.Random], str]
WORDS = (
    "correct", "horse", "battery", "purple", "monkey", "sunshine", "tiger", "coffee", "guitar", "winter", "pepper",
    "rocket", "banana", "marble", "falcon", "copper", "island", "meadow", "thunder", "velvet", "walnut", "zebra",
    "orbit", "pickle", "saddle", "lantern", "cobalt", "harbor", "ginger", "puzzle", "sesame", "cactus", "trumpet",
)  # fmt: skip


TOOLS = (
    "sshpass -p ", "sshpass -v -p", "mysql -u root -p", "mysqldump --all-databases -p", "mariadb -h db -P 3306 -p",
    "docker login -u me -p ", "mongosh -u app -p ", "redis-cli -h cache -a ", "ldapsearch -x -D cn=app -w ",
    "openssl enc -aes256 -pass pass:", "curl -su app:", "curl -X POST \\\n  -u app:",
)  # fmt: skip
"""Beginnings of commands whose next letters are a password."""


PAIRS = (
    "- name: DB_PASSWORD\n  value: {}", '{{"name": "API_KEY", "value": "{}"}}', "machine h.example login ada password {}",
    "CREATE USER ada IDENTIFIED BY '{}'", "ALTER ROLE app WITH PASSWORD '{}'", "ENV APP_SECRET {}", "PASSWORD=b'{}'",
)  # fmt: skip
"""Texts in which the name and its password stand beside each other in other ways than ``name=password``."""


def letters(rng: random.Random) -> str:
    """A password of letters only, of two words or of one that is long."""
    return rng.choice([
        "".join(rng.sample(WORDS, 2)), rng.choice(["swordfish", "butterfly", "chocolate", "basketball", "starwars"]),
    ])  # fmt: skip


def dashed(rng: random.Random, least: int = 2) -> str:
    """Words with dashes."""
    return "-".join(rng.sample(WORDS, rng.randrange(least, 5)))


def short(rng: random.Random) -> str:
    """A short key, as somebody types it for a test."""
    word = rng.choice([*WORDS, "abc", "dev", "test", "my-key-"])
    return word + str(rng.randrange(1000, 99999)) + "".join(rng.choices(string.ascii_lowercase, k=4))


def _chosen(rng: random.Random) -> str:
    return rng.choice([letters, dashed, short])(rng)


def _bare(rng: random.Random) -> str:
    return short(rng) if rng.random() < 0.5 else dashed(rng, 3)


def _typed(rng: random.Random) -> str:
    """A password that could stand behind ``pass:`` only as one: its digits are not only at its end."""
    word = rng.choice(["hunter", "tiger", "winter", "cobalt"])
    return rng.choice([
        f"{word}{rng.randrange(10)}{word}{rng.randrange(10)}", f"{word.title()}{rng.randrange(10, 9999)}!x",
        "xK9d" + "".join(rng.choices(string.ascii_letters + string.digits, k=8)) + "Q2m",
    ])  # fmt: skip


def _named(names: tuple[str, ...], make: Make) -> Make:
    return lambda rng: f"{rng.choice(names)}{rng.choice(['=', ': '])}{make(rng)}"


def _json(rng: random.Random) -> str:
    secret = rng.choice([letters(rng), dashed(rng), " ".join(rng.sample(WORDS, 4)), short(rng)])
    return json.dumps({rng.choice(["password", "db_password", "passwd", "secret"]): secret})


KINDS: dict[str, Make] = {
    "password of letters": _named(("password", "PASSWORD", "db_password", "passwd"), letters),
    "password of words": _named(("password", "DB_PASSWORD", "secret", "client_secret"), dashed),
    "short secret": _named(("secret", "app_secret", "pwd", "password"), short),
    "token of words": _named(("auth_token", "access_token", "bearer", "api_key"), lambda rng: "-".join(rng.sample(WORDS, 4))),
    "bearer named": lambda rng: f"bearer{rng.choice(['=', ': '])}{''.join(rng.choices(string.ascii_letters + '23', k=29))}7",
    "password in JSON": _json,
    "password argument": lambda rng: f"mytool --password {_chosen(rng)}",
    "user of curl": lambda rng: f"curl -s {rng.choice(['-u ', '--user ', '-u'])}admin:{_chosen(rng)}",
    "password of a tool": lambda rng: f"{rng.choice(TOOLS)}{_chosen(rng)}",
    "pass label": lambda rng: f"{rng.choice(['pass', 'PASS', 'db_pass', 'smtpPass', 'pw', 'passcode'])}{rng.choice(['=', ': '])}{_typed(rng)}",
    "named beside": lambda rng: rng.choice(PAIRS).format(_chosen(rng)),
    "url token": lambda rng: f"https://{''.join(rng.choices(string.ascii_letters + string.digits, k=30))}7x@git.example/x.git",
    "header without bearer": lambda rng: f"Authorization: {rng.choice(['', 'token ', 'Key '])}{''.join(rng.choices(string.ascii_letters, k=29))}7",
    "password element": lambda rng: f"<{(tag := rng.choice(['password', 'dbPassword', 'secret']))}>{_chosen(rng)}</{tag}>",
    "nvidia": lambda rng: "nvapi-" + "".join(rng.choices(string.ascii_letters + string.digits + "-_", k=63)) + "x",
    "fireworks": lambda rng: "fw_" + "".join(rng.choices(string.ascii_letters + string.digits, k=23)) + "7",
}  # fmt: skip
FIELDS: dict[str, tuple[tuple[str, ...], Make]] = {
    "chosen password field": (("password", "passwords", "dbPasswd", "secrets"), _chosen),
    "named value": (("DB_PASSWORD", "apiKey", "client_secret"), _chosen),
    "chosen token field": (("access_token", "apikey", "authToken", "bearer_token", "idToken", "api_keys"), _chosen),
    "authorization field": (("authorization", "Authorization", "proxy-authorization"), lambda rng: f"{rng.choice(['Bearer', 'Basic', 'token'])} {_chosen(rng)}"),
    "bare token field": (("token", "auth", "github_token"), _bare),
}  # fmt: skip

PROSE = (
    "the password: should be long and hard to guess",
    "Password: must contain at least eight characters, one digit and one symbol.",
    "Please choose a password: something you can remember, but nobody else can guess.",
    "The password is required.", "Your password is incorrect. Try again.", "password: authentication failed for user app",
    "Never share your password; the secret: treat it like a toothbrush.", "What is the secret: patience and practice.",
    "The access token is refreshed hourly; each token: about four characters of English.",
    "A strong secret: randomly generated, stored hashed, rotated monthly.", "Forgot your password? Password: reset it here.",
    "password: whatever your administrator gave you", "Regarding the password: unfortunately, we cannot recover it.",
    "Enter password: Sorry, try again.", "the --password flag is deprecated, use --password-stdin instead",
    "Use --password together with --user.", "Options: --password TEXT  The password to use.  --token TEXT  API token.",
    "mytool --password <password> --user <user>", "curl -u user:password https://host.example/", "curl -u $USER:$PASS https://h.example",
    "the api_key: see the dashboard under Settings", "Tokens: 512 prompt, 128 completion", "bearer: the person who carries it",
    "the bearer token authentication scheme is described in RFC 6750", "token: the smallest unit that a model reads",
    "The password: remember to change it after the first login.", "Change password: navigate to Account, then Security.",
    "password: case-sensitive, secret: base64-encoded, token: auto-generated", "the secret is out", "secret: top-level key of the file",
    "Password: Passwort, Secret: Geheimnis", "database password: stored elsewhere (see the vault)", "Password: contact support.",
    "We changed the password: everyone has to sign in again.", "the wifi password: printed underneath the router",
    "pass: 12 of 12 tests", "PASS: tests/test_login.py::test_user2_logs_in", "first pass: iteration12", "one pass: O(n2) steps", "pass: sha256",
    "bypass: xK9dQ2mP7vZr", "The authorization: required for writing.", "Authorization: see RFC 7235", "the token: 2026-11-21T10:00:00Z at last",
    "a password: letters, digits and punctuation", "The secret: butter, lots of butter.",
)  # fmt: skip
CODE = (
    "password = input()", "password = input('Password: ')", "token: str", "token: Optional[str] = None", "password: SecretStr",
    "password: string;", "password?: string, token?: string", "secret: Uint8Array", "password = self.password",
    "login(user, password=password)", "connect(password=plaintext, user=username)", "const secret = process.env.SECRET_VALUE",
    "mysql -p mydb < dump.sql", 'mysql -u root -p"$MYSQL_PASS" mydb', "mysql -P3306 -h db", "sshpass -e ssh host", "sshpass -f /etc/pw ssh host",
    'sshpass -p "$PW" ssh host', "docker run -p 8080:80 nginx", "docker login --password-stdin", "mkdir -p a1b2/c3d4", "redis-cli -a $PW", "pass=O(n1og2n)",
    "fetch(url, {credentials: 'include'})", "token = datetime.now().isoformat()",
    "ALTER USER app WITH PASSWORD :password", "- name: DB_PASSWORD\n  valueFrom:\n    secretKeyRef: db1", "- name: API_KEY\n  value: $(OTHER_KEY)",
    "git clone https://somebody@host.example/x.git", "form.get('password', 'username')", "return d['password'] or other['value']", "ENV APP_KEY $APP_KEY",
    "password=new_password, confirm=confirmPassword", "token=access_token", "token = tokenizer.next_token()", "password: confirmPassword,",
    "class PasswordField(CharField): pass", "if password != confirmation: raise ValueError", "password = hashlib.sha256(data).hexdigest()",
    "return {'password': hash_password(password)}", 'errors["password"] = "Password is too short"', '{"password": "This field is required."}',
    '{"password": "errors.password.invalid"}', '"password": "Enter your password"', "auth_token: AuthenticationTokenProvider",
    "access_token = response.json()['access_token']", "secret = secrets.token_urlsafe(32)", "<password>${db.password}</password>",
    "<password>required</password>", "<Password type='string' minLength='8'></Password>", '<input type="password" name="password">',
    "<label for='password'>Password</label>", "password VARCHAR(255) NOT NULL", "ALTER USER app WITH PASSWORD :password",
    "password:\n  description: chosen at the first login\n  required: true", "parser.add_argument('--password', help='the password')",
    'password="%s" % password', "secret: {{ .Values.secret }}", "password = getpass.getpass()", "auth_token = create_access_token(user)",
)  # fmt: skip
SETTINGS = (
    "password: null", "password:", "password=", "password: ''", "password: ${VAR}", "password: $DB_PASSWORD", "password: <your password>",
    "DB_PASSWORD=changeme", "API_KEY=your-api-key", "secret: my-app-secret", "secretName: registry-credentials", "imagePullSecret: registry-login",
    "password_file: /run/secrets/db", "password: env:DB_PASSWORD", "token: ${{ secrets.GITHUB_TOKEN }}", "password_min_length: 12",
    "token_endpoint_auth_method: client_secret_basic", "password: [hidden]", "password=********", "secret: optional", "password: file:/run/pw",
    "token: 2026-11-21T10:00:00.123456+00:00", "token=2026-11-21T10%3A00%3A00Z", "credentials: 20261121T100000Z", "authorization: required",
    "token_type: bearer", "auth: scram-sha-256", "password_encryption = scram-sha-256", "pass: true", "passwordless: enabled",
)  # fmt: skip
FIELDS_WITHOUT: tuple[dict[str, Any], ...] = (
    {"authorization": "required"}, {"authorization": "none"}, {"authorization": "OAuth 2.0"}, {"authorization": "role-based"}, {"authorization": True},
    {"credentials": "include"}, {"credentials": "same-origin"}, {"token": "2026-11-21T10:00:00Z"}, {"token": "2026-11-21"}, {"auth": "10.0.0.12:8080"},
    {"authorization": {"type": "oauth2", "flow": "implicit"}}, {"token_expires": "2026-11-21T10:00:00Z"}, {"pass": "12-of-12"},
    {"name": "password", "value": "${DB_PASSWORD}"}, {"required": ["password", "username"]}, {"name": "token", "value": "understanding"},
    {"name": "keyboard", "value": "qwertzuiop"}, {"key": "primary_key", "value": "users.identity"}, {"pair": ["authorization", "required"]},
    {"name": "max_tokens", "value": 128000}, {"headers": [["Accept", "application/json1"]]},
    {"token": "understanding"}, {"token": "getElementById", "logprob": -0.31}, {"token": " function", "bytes": [32, 102]},
    {"token": "----------------"}, {"token": "\u0120representation"}, {"eos_token": "<|endoftext|>"}, {"mask_token": "[MASK]"},
    {"token": ".println("}, {"total_tokens": 512, "prompt_tokens": 4096}, {"session_tokens": 20480}, {"token": 123}, {"id_token": None},
    {"auth": "scram-sha-256"}, {"auth": "client_credentials"}, {"auth": "private_key_jwt"}, {"auth": "service-account"}, {"auth": "oauth2.0"},
    {"auth": "https://login.example/authorize"}, {"auth": True, "auth_method": "password"}, {"token_type": "bearer"}, {"password": None},
    {"password": ""}, {"has_password": True, "password_changed": "2026-01-01"}, {"apikey": ""}, {"token": "${GITHUB_TOKEN}"}, {"token": "next word"},
    {"auth": "none"}, {"auth": "username-password"}, {"pass": "yes"}, {"test": "login", "pass": "completed"}, {"author": "ada-lovelace-1815"},
    {"token": "Token.Literal.String"}, {"stop_token": "\n\n\n\n\n\n\n\n\n"}, {"passes": "3-of-4-passed"}, {"tokens": ["cl100k", "o200k_base"]},
)  # fmt: skip
DECOYS: dict[str, tuple[Any, ...]] = {
    "prose about secrets": PROSE, "code about secrets": CODE, "settings without values": SETTINGS, "fields without secrets": FIELDS_WITHOUT,
}  # fmt: skip
