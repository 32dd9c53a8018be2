"""What is taken for a secret and what is not: each kind with a near miss beside it, fields, encodings, a labelled set.

No secret stands here as a whole: prefixes are put together with filling that nobody was given.
"""

import itertools
import json
import random
import re
from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote

import pytest

from benchmarks.secrets import PRECISION_MIN, RECALL_MIN, decoys, hidden, positives
from llmspell import InvalidInput, Redactor
from llmspell.security import redaction
from llmspell.security.commands import IN_COMMANDS
from llmspell.security.expressions import check_expression
from llmspell.security.patterns import BEHIND_NAMES, SHAPES

KEY = bytes(range(32))


def filled(alphabet, count):
    return "".join(itertools.islice(itertools.cycle(alphabet), count))


def word(count):
    return filled("aB3dE6gH9jK2mN5pQ8rS1tU4vW7xY0zC", count)


def hexes(count):
    return filled("0f1e2d3c4b5a6978", count)


def capitals(count):
    return filled("QA2WS3ED4RF5TG6YH7UJ", count)


PEM = ("-----BEGIN ", "PRIVATE KEY-----", "-----END ")
WHOLE = {
    "aws-access-key": ("AKIA" + capitals(16), "AKIA" + capitals(15)),
    "gcp-api-key": ("AIza" + word(35), "AIza" + word(34)),
    "gcp-oauth-token": ("ya29." + word(20), "ya29." + word(19)),
    "google-client-secret": ("GOCSPX-" + word(28), "GOCSPX-" + word(27)),
    "github-token": ("ghp_" + word(36), "ghp_" + word(35)),
    "github-fine-grained-token": (f"github_pat_{word(22)}_{word(59)}", f"github_pat_{word(21)}_{word(59)}"),
    "gitlab-token": ("glpat-" + word(20), "glpat-" + word(19)),
    "bitbucket-token": ("ATBB" + word(32), "ATBB" + word(31)),
    "atlassian-token": ("ATATT3" + word(20), "ATATT3" + word(19)),
    "openai-key": ("sk-" + word(48), "sk-" + word(47)),
    "deepseek-key": ("sk-" + hexes(32), "sk-" + hexes(31)),
    "anthropic-key": ("sk-ant-api03-" + word(80), "sk-ant-api03-" + word(79)),
    "openrouter-key": ("sk-or-v1-" + hexes(64), "sk-or-v1-" + hexes(63)),
    "huggingface-token": ("hf_" + word(34), "hf_" + "the" * 11),
    "groq-key": ("gsk_" + word(48), "gsk_" + word(47)),
    "xai-key": ("xai-" + word(60), "xai-" + word(59)),
    "perplexity-key": ("pplx-" + word(40), "pplx-" + word(39)),
    "nvidia-key": ("nvapi-" + word(60), "nvapi-" + word(59)),
    "fireworks-key": ("fw_" + word(20), "fw_" + word(19)),
    "replicate-token": ("r8_" + word(37), "r8_" + word(36)),
    "langsmith-key": (f"lsv2_pt_{hexes(32)}_{hexes(10)}", f"lsv2_pt_{hexes(32)}_{hexes(9)}"),
    "tavily-key": ("tvly-dev-" + word(28), "tvly-dev-" + word(27)),
    "pinecone-key": (f"pcsk_{word(5)}_{word(50)}", f"pcsk_{word(5)}_{word(49)}"),
    "slack-token": ("xoxb-" + word(20), "xoxb-" + word(19)),
    "discord-token": (f"M{word(23)}.{word(6)}.{word(27)}", f"M{word(23)}.{word(5)}.{word(27)}"),
    "telegram-token": (f"12345678:AA{word(33)}", f"12345678:AA{word(32)}"),
    "stripe-key": ("sk_" + "live_" + word(24), "sk_" + "live_" + word(23)),
    "stripe-webhook-secret": ("whsec_" + word(32), "whsec_" + word(31)),
    "twilio-key": ("SK" + hexes(32), "SK" + hexes(31)),
    "sendgrid-key": (f"SG.{word(22)}.{word(43)}", f"SG.{word(22)}.{word(42)}"),
    "mailgun-key": ("key-" + hexes(32), "key-" + hexes(31)),
    "mailchimp-key": (hexes(32) + "-us12", hexes(32) + "-us123"),
    "npm-token": ("npm_" + word(36), "npm_" + word(35)),
    "pypi-token": ("pypi-AgE" + word(50), "pypi-AgE" + word(49)),
    "docker-token": ("dckr_pat_" + word(27), "dckr_pat_" + word(26)),
    "digitalocean-token": ("dop_v1_" + hexes(64), "dop_v1_" + hexes(63)),
    "shopify-token": ("shpat_" + hexes(32), "shpat_" + hexes(31)),
    "databricks-token": ("dapi" + hexes(32), "dapi" + hexes(31)),
    "vault-token": ("hvs." + word(24), "hvs." + word(23)),
    "linear-key": ("lin_api_" + word(32), "lin_api_" + word(31)),
    "notion-token": ("ntn_" + word(43), "ntn_" + word(42)),
    "grafana-token": (f"glsa_{word(32)}_{hexes(8)}", f"glsa_{word(32)}_{hexes(7)}"),
    "jwt": (f"eyJ{word(8)}.eyJ{word(8)}.{word(10)}", f"eyJ{word(8)}.{word(11)}.{word(10)}"),
    "age-secret-key": ("AGE-SECRET-KEY-1" + capitals(58), "AGE-SECRET-KEY-1" + "B" * 58),
    "private-key": (f"{PEM[0]}{PEM[1]}\n{word(64)}\n{PEM[2]}{PEM[1]}", f"{PEM[0]}PUBLIC KEY-----\n{word(64)}\n"),
    "payment-card": ("4111 1111 1111 1111", "4111 1111 1111 1112"),
}  # fmt: skip
"""By kind: a secret that is replaced whole, and what is none by a little."""

PARTS = {
    "azure-storage-key": ("AccountKey={};E=1", word(86) + "==", "<your-account-key>"),
    "azure-sas": ("https://a.example/b?sv=1&sig={}&x=1", word(43), word(42)),
    "slack-webhook": ("https://hooks.slack.com/{}", f"services/T{word(8)}/B{word(8)}/{word(24)}", "services/T1/x"),
    "discord-webhook": ("https://discord.com/api/{}", f"webhooks/{'1' * 18}/{word(68)}", "webhooks/1/x"),
    "connection-string": ("postgres://app:{}@db:5432/x", "tr0ub4dor", "<your-password>"),
    "url-token": ("git clone https://{}@h.example/x.git", word(24), "somebody-with-a-long-name"),
    "bearer-token": ("Authorization: Bearer {} end", word(40), "of-the-good-news-only"),
    "basic-auth": ("authorization: basic {} end", word(24), "understanding"),
    "password": ("the password={} and", "hunter2!", "required"),
    "aws-secret-key": ("aws (secret) {} end", word(40), word(39)),
    "named-secret": ("api_key = {} end", word(24), "read_from_the_file"),
    "password-argument": ("mytool --db-password {} -v", "hunter2x", "PASSWORD"),
    "password-element": ("<c><dbPassword a='1'>{}</dbPassword></c>", "swordfish", "required"),
}  # fmt: skip
"""By kind: a text around, the secret that is replaced in it, and what is none in the same place."""


def kinds(value, **options):
    return [found.kind for found in Redactor(**options).scan(value)]


def test_every_rule_has_a_sample_here():
    assert {*WHOLE, *PARTS} == {rule.kind for rule in (*SHAPES, *BEHIND_NAMES, *IN_COMMANDS)}


@pytest.mark.parametrize("kind", WHOLE)
def test_a_secret_is_found_by_its_shape_and_replaced_whole(kind):
    clean, found = Redactor().redact(f"use ({WHOLE[kind][0]}) now")
    assert (clean, [one.kind for one in found]) == ("use ([REDACTED]) now", [kind])


@pytest.mark.parametrize("kind", WHOLE)
def test_what_misses_the_shape_by_a_little_stays(kind):
    value = f"use ({WHOLE[kind][1]}) now"
    assert Redactor().redact(value) == (value, [])


@pytest.mark.parametrize("kind", PARTS)
def test_a_secret_is_found_by_what_stands_around_it(kind):
    text, secret, _ = PARTS[kind]
    clean, found = Redactor().redact(text.format(secret))
    assert (clean, [one.kind for one in found]) == (text.format("[REDACTED]"), [kind])


@pytest.mark.parametrize("kind", PARTS)
def test_what_stands_in_the_place_of_a_secret_and_is_none_stays(kind):
    value = PARTS[kind][0].format(PARTS[kind][2])
    assert Redactor().redact(value) == (value, [])


@pytest.mark.parametrize(
    ("number", "is_card"),
    [
        ("4111111111111111", True), ("4111111111111110", False), ("4111-1111-1111-1111", True),
        ("5500005555555559", True), ("5500005555555558", False), ("371449635398431", True), ("371449635398432", False),
        ("6011000990139424", True),
        ("1234567812345670", False),  # right checksum, and no issuer has it
        (4111111111111111, True), (4111111111111112, False),
    ],
)  # fmt: skip
def test_a_payment_card_is_told_by_issuer_and_checksum(number, is_card):
    assert kinds({"n": number}) == ["payment-card"] * is_card


@pytest.mark.parametrize(
    ("value", "is_one"), [("$iV-u0YDiVEH7", True), ("$DB_PASSWORD", False), ("${DB_PASSWORD}", False)]
)
def test_a_password_may_begin_as_a_variable_does(value, is_one):
    assert kinds(f"see password={value} there") == ["password"] * is_one


# -- fields ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["password", "dbPassword", "user_passwd", "x-api-key", "clientSecret", "credentials", "CVV"]
)
def test_the_value_of_a_field_with_a_telling_name_is_replaced(name):
    assert Redactor().redact({name: "swordfish", "user": "ada"})[0] == {name: "[REDACTED]", "user": "ada"}


@pytest.mark.parametrize("name", ["passwordless", "secretary", "keyboard", "primary_key", "tokens", "author"])
def test_the_value_of_a_field_with_a_similar_name_stays(name):
    assert kinds({name: "swordfish"}) == []


def test_a_field_that_may_hold_a_secret_is_judged_by_its_value():
    assert kinds({"token": "swordfish"}) == []
    assert kinds({"token": word(24)}) == ["named-field"]


def test_everything_below_a_telling_field_is_replaced():
    value = {"secret": {"a": ["swordfish", 123456, 7, None], "b": {"c": "xyz"}}}
    clean = {"secret": {"a": ["[REDACTED]", "[REDACTED]", 7, None], "b": {"c": "[REDACTED]"}}}
    assert Redactor().redact(value)[0] == clean


def test_own_fields_are_replaced_however_they_are_spelt():
    value = {"doorCode": "4711", "DOOR-CODE": "4712", "door_codes": "4713"}
    assert kinds(value) == []
    clean = Redactor(fields=["door code"]).redact(value)[0]
    assert clean == {"doorCode": "[REDACTED]", "DOOR-CODE": "[REDACTED]", "door_codes": "4713"}


def test_secrets_in_names_of_fields_are_replaced_and_no_field_is_lost():
    tokens = [f"ghp_{number:036}" for number in range(40)]
    clean, found = Redactor().redact({**dict.fromkeys(tokens, 1), "[REDACTED]": 2})
    assert len(clean) == len(found) + 1 == 41
    assert not any(token in json.dumps(clean) for token in tokens)


# -- one's own ---------------------------------------------------------------------------------------------------------


def test_own_expressions_come_first_and_replace_their_group():
    own = {"acme": r"acme_(?P<s>[0-9a-f]{8})", "ticket": r"\bT-\d{6}\b"}
    clean, found = Redactor(patterns=own).redact(["acme_0123abcd T-123456", f"ghp_{word(36)}"])
    assert clean == ["acme_[REDACTED] [REDACTED]", "[REDACTED]"]
    assert [(one.path, one.kind) for one in found] == [("$[0]", "acme"), ("$[0]", "ticket"), ("$[1]", "github-token")]


@pytest.mark.parametrize("text", [r"x.*y.*q", r"x[a-z]*y[a-z]*q", r"x+q", r"(?:a|aa){1,40}q"])
def test_an_expression_of_more_than_linear_time_is_refused(text):
    with pytest.raises(InvalidInput) as refused:
        Redactor(patterns={"p": text})
    assert refused.value.code == "invalid-pattern"


def test_a_digest_tells_equal_secrets_from_others_and_depends_on_the_key():
    value = {"a": f"use ghp_{word(36)}", "b": f"and ghp_{word(36)}", "password": "swordfish"}
    clean = Redactor(digest_key=KEY).redact(value)[0]
    first, second = clean["a"].removeprefix("use "), clean["b"].removeprefix("and ")
    assert first == second != clean["password"]
    assert re.fullmatch(r"\[REDACTED:[0-9a-f]{8}\]", first)
    assert Redactor(digest_key=bytes(32)).redact(value)[0]["a"] != clean["a"]
    assert Redactor(digest_key=KEY).redact(clean) == (clean, [])


@pytest.mark.parametrize("key", [b"", bytes(31), bytes(33), "0" * 32, 7, bytearray(32)])
def test_a_digest_key_is_32_bytes(key):
    with pytest.raises(InvalidInput) as refused:
        Redactor(digest_key=key)
    assert refused.value.code == "invalid-key"


# -- encodings ---------------------------------------------------------------------------------------------------------

TOKEN = f"ghp_{word(36)}"
ENCODED = {
    "JSON in a text": json.dumps({"password": "tr0ub4dor&3"}),
    "JSON in JSON": json.dumps(json.dumps({"k": f"\n{TOKEN}"})),
    "escaped letters": TOKEN.replace("g", "\\u0067"),
    "URL": quote(f"v={TOKEN} x", safe=""),
    "URL, every character": "".join(f"%{ord(char):02x}" for char in TOKEN),
    "URL of a URL": quote(quote(f"v {TOKEN} é", safe=""), safe=""),
    "base64": b64encode(f"a {TOKEN}".encode()).decode(),
    "base64 for URLs": urlsafe_b64encode(f"??>>a {TOKEN}".encode()).decode().rstrip("="),
    "base64 of base64": b64encode(b64encode(f"a {TOKEN}".encode())).decode(),
    "base64 in a URL": quote(b64encode(f"ab {TOKEN}".encode()).decode(), safe=""),
}


@pytest.mark.parametrize("form", ENCODED)
def test_an_encoded_secret_is_found_and_nothing_of_it_is_left(form):
    text = f"at first {ENCODED[form]} at last"
    clean, found = Redactor().redact(text)
    assert [one.kind for one in found] in (["github-token"], ["password"])
    assert clean.startswith("at first ")
    assert clean.endswith(" at last")
    for secret in (TOKEN[-12:], ENCODED[form], "tr0ub4dor"):
        assert secret not in clean


PLACES = {
    "a segment of a path": ("https://h.example/auth/cb/{}/next", "https://h.example/"),
    "a segment of an encoded path": ("https://h.example/auth/cb/{:url}/next", "https://h.example/"),
    "a query in a query": ("https://h.example/?to=https%3A%2F%2Fh%2Fcb%3Fstate%3D{:url}%26y", "https://h.example/?to="),
    "behind an escaped sign": ("state%3D{}-x", "state%3D"), "before a marker": ("of {}-----BEGIN X-----", "of "),
    "behind a dash": ("key-{}-1", "key-"), "behind an escaped line end": ("line\\n{}\\nend", "line"),
    "behind a letter": ("v{} at last", "v"), "amid slashes of JSON": ("https:\\/\\/h\\/{}\\/x", "https:"),
}  # fmt: skip
"""A text around a token of base64, and what of it is to stay at the least."""


class Embedded(str):
    __slots__ = ()

    def __format__(self, form):
        return quote(self, safe="") if form == "url" else str(self)


@pytest.mark.parametrize("before", range(3))
@pytest.mark.parametrize("place", PLACES)
def test_base64_is_found_inside_a_longer_word_wherever_it_begins(place, before):
    around, stays = PLACES[place]
    token = Embedded(b64encode(f"{'v' * before} {TOKEN}".encode()).decode())
    clean, found = Redactor().redact(around.format(token))
    assert [one.kind for one in found] == ["github-token"]
    assert clean.startswith(stays)
    assert not any(token[at : at + 8] in clean for at in range(4, len(token) - 8))


def test_base64_of_any_length_is_looked_through():
    text = b64encode(b"bees " * 60_000 + TOKEN.encode()).decode()
    assert Redactor().redact(f"of {text} end")[0] == "of [REDACTED] end"


def test_of_binary_data_in_base64_the_text_with_the_secret_is_replaced():
    noise, middle = bytes(range(128, 158)), f"the {TOKEN} ".encode()
    clean = Redactor().redact(b64encode(noise + middle + noise).decode())[0]
    assert clean == "{0}[REDACTED]{0}".format(b64encode(noise).decode())


def test_of_many_pieces_of_base64_only_those_with_a_secret_are_replaced():
    harmless = [b64encode(f"password= {number} bees fly ".encode()).decode() for number in range(50)]
    secret = b64encode(f"x {TOKEN} ".encode()).decode()
    text = " ".join([*harmless[:25], secret, *harmless[25:]])
    assert Redactor().redact(text)[0] == text.replace(secret, "[REDACTED]")


def test_pieces_of_base64_side_by_side_are_not_read_as_one():
    name, value = (b64encode(text).decode() for text in (b"the key of api_key=", word(40).encode()))
    pem = b64encode(f"{PEM[0]}{PEM[1]}".encode()).decode()
    assert kinds(f"{name} {value}") == []
    assert kinds(f"{b64encode(b'of aws secret').decode()} {value}") == []
    assert Redactor().redact(f"{pem} {value}")[0] == f"[REDACTED] {value}"


# -- work --------------------------------------------------------------------------------------------------------------

HOSTILE = {
    "escapes of a URL": "%41", "percent signs": "%", "half escapes": "a%4", "escaped escapes": "%2541",
    "backslashes": "\\", "escaped letters": "\\u0041", "escapes of escapes": "\\\\u0025",
    "base64": b64encode(b"hello world of bees").decode() + " ",
    "base64 twice": b64encode(b64encode(b"hello world of bees")).decode() + " ", "URLs": "a%20bcdefgh%41 ",
    "base64 that is text wherever it begins": "V", "base64 of short texts": b64encode(b"aaaaaaaa\0").decode(),
    "base64 of text wherever it begins, of escapes": "VVVVVVVVVVVVVVVV%56",
    "wrapped base64": b64encode(b"hello bees " * 5).decode()[:72] + "\n",
    "all at once": "%5cu0025" + b64encode(b"%41\\u0041 hello bees").decode() + "\\n ",
}  # fmt: skip


@pytest.mark.parametrize("piece", HOSTILE.values(), ids=HOSTILE)
def test_encodings_are_looked_through_a_bounded_number_of_times_however_many_pieces_there_are(piece, monkeypatch):
    seen = list[int]()
    spans = Redactor._spans

    def counted(self, text, layers):
        seen.append(len(text))
        return spans(self, text, layers)

    monkeypatch.setattr(Redactor, "_spans", counted)
    text = piece * (60_000 // len(piece))
    Redactor().scan(text)
    assert len(seen) <= 1 + 3 + 9
    assert sum(seen) <= 13 * 4 * len(text)


@pytest.mark.parametrize("expression", [redaction._QUOTED, redaction._ESCAPE])
def test_escapes_are_found_without_trying_again(expression):
    assert check_expression("ours", expression.pattern).pattern == expression.pattern


# -- the labelled set --------------------------------------------------------------------------------------------------


def test_a_part_of_the_labelled_set_is_found_as_the_whole_is():
    rng = random.Random(20261121)
    redactor = Redactor()
    results = [
        (kind, form, hidden(secret, redactor.redact(value)[0])) for kind, form, secret, value in positives(rng, 14)
    ]
    missed = [(kind, form) for kind, form, found in results if not found]
    wrong = [(kind, value) for kind, value in decoys(rng, 1000) if redactor.scan(value)]
    right = len(results) - len(missed)
    assert right / len(results) >= RECALL_MIN, missed
    assert right / (right + len(wrong)) >= PRECISION_MIN, wrong


@pytest.mark.parametrize("value", [
    {"PWD": "/var/www/html"}, {"env": {"OLDPWD": "/", "PWD": "/workspace"}}, "PWD=/var/www/html",
    "pwd: ~/notes/today.md",
])  # fmt: skip
def test_the_folder_that_a_shell_is_in_is_no_password(value):
    assert Redactor().redact(value) == (value, [])


@pytest.mark.parametrize(
    "value", [{"pwd": "Sommer2024!"}, {"pwd": "/xK9dQ2mP7vZrT4w"}, "pwd=Sommer2024!", {"password": "/etc/hosts"}]
)
def test_what_else_stands_there_is_one(value):
    assert Redactor().redact(value)[1]
