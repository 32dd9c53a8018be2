"""Secrets that people chose, and what speaks of secrets and holds none: in fields, in texts, and in wrapped base64."""

from base64 import b64encode

import pytest

from benchmarks.chosen_secrets import DECOYS
from llmspell import Redactor

TOKEN = "ghp_" + "aB3dE6gH9jK2mN5pQ8rS" + "1tU4vW7xY0zCaB3d"


def kinds(value):
    return [found.kind for found in Redactor().scan(value)]


@pytest.mark.parametrize("name", [
    "apikey", "ApiKey", "openai_apikey", "access_token", "authToken", "bearer_token", "refresh-token", "sessionToken",
    "id_token", "accesstoken", "passwords", "secrets", "api_keys", "accessTokens", "pwds",
])  # fmt: skip
def test_a_certain_field_needs_no_random_looking_value(name):
    assert kinds({name: "abc xyz"}) == kinds({name: ["abc xyz"]}) == ["named-field"]


@pytest.mark.parametrize("name", ["token", "auth", "github_token", "bearer", "db_pass"])
@pytest.mark.parametrize(
    "value", ["abc123xyz", "123456789012", "correct-horse-battery", "550e8400-e29b-41d4-a716-446655440000"]
)
def test_a_field_that_may_hold_a_secret_gives_what_is_no_word(name, value):
    assert kinds({name: value}) == ["named-field"]


@pytest.mark.parametrize("value", [
    "qwertyuiop", "getElementById", "client-credentials", "private_key_jwt", "scram-sha-256", "oauth2.0",
    "abc1234", "next word 12", "<|endoftext|>", "----------------", "https://login.example/start", "/etc/auth.json",
    "ada@login.example", "${GITHUB_TOKEN}", "not-a-real-token", 512, 1234567, None, True,
])  # fmt: skip
@pytest.mark.parametrize("name", ["token", "auth"])
def test_a_field_that_may_hold_a_secret_keeps_words_methods_places_and_numbers(name, value):
    assert kinds({name: value}) == []


@pytest.mark.parametrize("name", ["access_token", "session_tokens", "id_token"])
def test_numbers_in_fields_of_tokens_stay_since_they_count_them(name):
    assert kinds({name: 20480, "total_tokens": 512}) == kinds({name: [20480]}) == []


@pytest.mark.parametrize("name", ["password", "access_token", "credentials", "secrets"])
def test_what_a_tool_says_of_a_field_stays_and_the_values_in_it_go(name):
    said = {"type": "string", "format": "password", "description": "how to log in", "minLength": 8}
    tool = {"type": "object", "properties": {name: said}, "required": [name]}
    assert Redactor().redact(tool) == (tool, [])
    several = {name: {"type": ["object", "null"], "properties": {"user": said}, "required": ["user"]}}
    assert Redactor().redact(several) == (several, [])
    for member in ("default", "const", "example", "value"):
        assert kinds({name: {**said, member: "abc xyz"}}) == ["named-field"]
    assert kinds({name: {"type": "basic", "user": "ada"}}) == ["named-field"] * 2
    assert kinds({name: {"type": "string", "description": TOKEN}}) == ["github-token"]


@pytest.mark.parametrize("value", [
    "required", "not required", "none", "Bearer", "basic", "oauth2", "OAuth 2.0", "role-based", "Bearer authentication",
    "Bearer <token>", "required for writing", True, None,
])  # fmt: skip
@pytest.mark.parametrize("name", ["authorization", "Proxy-Authorization"])
def test_what_is_said_of_an_authorization_stays(name, value):
    assert kinds({name: value}) == kinds({name: {"mode": value}}) == kinds({"text": f'{{"{name}": "{value}"}}'}) == []


@pytest.mark.parametrize("value", [
    "Bearer abc", "Bearer swordfish", "Basic YWRhOnN3", "token abc123", "x8Kd02mfPq",
    'Digest username="ada", response="6629"',
])  # fmt: skip
def test_what_a_header_of_authorization_holds_goes(value):
    for one in ({"authorization": value}, {"Proxy-Authorization": [value]}, {"authorization": {"value": value}}):
        assert kinds(one) == ["named-field"]
    assert kinds({"authorization": {"password": "swordfish", "user": "ada"}}) == ["named-field"]


@pytest.mark.parametrize("value", [
    {"name": "DB_PASSWORD", "value": "hunter2x"}, {"env": [{"name": "API_KEY", "value": "abc xyz"}]},
    {"Key": "client_secret", "Value": "swordfish"}, {"headers": [["Authorization", "Bearer swordfish"], ["Accept", 1]]},
    {"headers": [{"name": "authorization", "value": "Bearer swordfish"}]}, ["X-Api-Key", "abc123xyz"],
    {"name": "password", "value": {"a": ["swordfish"]}},
])  # fmt: skip
def test_a_value_that_a_name_beside_it_gives_away_is_replaced(value):
    assert kinds(value) == ["named-field"]


@pytest.mark.parametrize("value", [
    {"name": "DB_PASSWORD", "value": "${DB_PASSWORD}"}, {"name": "keyboard", "value": "qwertzuiop"},
    {"required": ["password", "username"]}, ["authorization", "required"], ["password", "hunter2x"],
    {"value": "x", "key": 5},
    {"name": "access_token", "value": 20480}, {"name": "token", "value": "understanding"}, {"key": "DB_PASSWORD"},
])  # fmt: skip
def test_a_value_that_no_name_beside_it_gives_away_stays(value):
    assert Redactor().redact(value) == (value, [])


MOMENTS = ["2026-11-21T10:00:00Z", "2026-11-21T10:00:00.123456+00:00", "20261121T100000Z", "2026-11-21T10:00"]


@pytest.mark.parametrize("moment", [*MOMENTS, "2026-11-21"])
@pytest.mark.parametrize(
    "text", ["token: {}", "token={}&x=1", "the api_key: {}.", "bearer {}", "credentials: {}", '"auth": "{}"']
)
def test_a_time_or_a_date_is_no_token(text, moment):
    value = text.format(moment)
    assert Redactor().redact(value) == (value, [])
    assert kinds({"token": moment, "auth": moment}) == []


def test_a_time_is_no_password_and_a_date_may_be_one():
    for moment in MOMENTS:
        assert kinds(f"the password: {moment}") == kinds(f"secret={moment}") == []
    assert kinds("password: 2026-11-21") == ["password"]


# -- chosen by people --------------------------------------------------------------------------------------------------

CHOSEN = {
    "password: {}": "correcthorse",
    "the password: {}, please": "swordfish",
    "PASSWORD={}": "correcthorse",
    "password: {} ": "correct-horse",
    "'password': '{}'": "correcthorse battery",
    '{{"password": "{}"}}': "correct_horse",
    '{{"passwords": ["bees", "{}"]}}': "swordfish",
    '{{"db": {{"apikey": "{}"}}}}': "swordfish",
    '{{"auth": "{}"}}': "abc123xyz",
    "export DB_PASSWORD='{}'": "s3cr3t pass",
    "secret: {}": "correct-horse-battery",
    "client_secret={}": "swordfish",
    "secret: {} .": "abcdefgh1",
    "auth_token: {}": "correct-horse-battery-staple",
    "bearer: {}": "x8Kd02mfPq71ZcVb44Ty",
    "bearer={}": "x8Kd02mfPq71ZcVb44Ty",
    "use password: {} for the staging host": "correcthorse",
    "mytool --password {} -v": "butterfly",
    "mytool --token {}": "abc123xyz",
    "curl -s -u ada:{} https://h.example": "s3cr3tpw",
    "curl --user 'ada:{}' h": "swordfish",
    "curl -X POST \\\n  -u ada:{} \\\n  h": "swordfish",
    "curl -sSu ada:'{}' h": "hunter2x",
    "sshpass -p {} ssh ada@h": "hunter2x",
    "sshpass -p'{}' ssh ada@h": "swordfish",
    "mysql -u root -p{} db < d.sql": "hunter2x",
    "mariadb-dump -h db -P3306 -p'{}' db": "swordfish",
    "docker login -u ada -p {} r.example": "hunter2x",
    "mongosh -u ada -p {}": "hunter2x",
    "redis-cli -h h -a {} ping": "hunter2x",
    "ldapsearch -x -w {} -b dc=x": "hunter2x",
    "openssl enc -pass pass:{} -in f": "hunter2x",
    "pass: {}": "hunter2hunter2",
    "- name: DB_PASSWORD\n  value: {}": "hunter2x",
    '{{"name": "API_KEY", "value": "{}"}}': "hunter2x",
    "machine h login ada password {}": "hunter2x",
    "CREATE USER ada IDENTIFIED BY '{}'": "hunter2x",
    "ALTER ROLE app WITH PASSWORD '{}' LOGIN": "swordfish",
    "SET PASSWORD = PASSWORD('{}')": "hunter2x",
    "ENV DB_PASSWORD {}": "hunter2x",
    "{{'password': u'{}'}}": "swordfish",
    "connect(password=b'{}')": "hunter2x",
    "az login -u a -p {}": "hunter2x",
    "login ada, pass={}; host h": "Sommer2024!x",
    "smtpPass: {}": "xK9dQ2mP7",
    "pw is {}": "hunter2hunter2",
    "Authorization: token {}": "x8Kd02mfPq71ZcVb44Ty",
    '{{"authorization": "{}"}}': "Bearer swordfish",
    '{{"authorization": "{}"}} ': "hunter2x",
    "<password>{}</password>": "hunter2!x",
    "<x:apiKey>{}</x:apiKey>": "correct-horse-battery",
}
"""A text around, and a secret that a person chose."""


@pytest.mark.parametrize("text", CHOSEN)
def test_a_secret_that_a_person_chose_is_found_where_only_a_secret_stands(text):
    assert Redactor().redact(text.format(CHOSEN[text]))[0] == text.format("[REDACTED]")


@pytest.mark.parametrize("kind", DECOYS)
def test_what_speaks_of_secrets_and_holds_none_stays(kind):
    wrong = [text for text in DECOYS[kind] if Redactor().scan(text)]
    assert len(wrong) <= len(DECOYS[kind]) // 15, wrong


# -- wrapped base64 ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\n  "])
@pytest.mark.parametrize("width", [64, 76])
def test_base64_that_is_wrapped_is_read_across_its_lines(width, line_end):
    for before in range(60):
        whole = b64encode(f"{'v' * before} {TOKEN} {'w' * 90}".encode()).decode()
        lines = line_end.join(whole[at : at + width] for at in range(0, len(whole), width))
        clean, found = Redactor().redact(f"at first\n{lines}\n\nat last")
        assert {one.kind for one in found} == {"github-token"}, before
        assert clean.startswith("at first\n")
        assert clean.endswith("at last")
        left = clean.replace(line_end, "")
        start = (before + 1) * 4 // 3 + 2
        assert not any(whole[at : at + 8] in left for at in range(start, start + len(TOKEN) * 4 // 3 - 10))


def test_a_token_in_one_of_many_wrapped_lines_is_found():
    lines = [b64encode(f"{number:03} ".encode() + b"bees " * 10).decode()[:72] for number in range(40)]
    lines[20] = b64encode(f"x {TOKEN} {'y' * 17}".encode()).decode()
    assert "github-token" in kinds("\n".join(lines))
