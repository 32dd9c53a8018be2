"""Secrets among the arguments of commands: ``--password …`` of any, and the short options of those that have them.

A command goes to the end of its line, or of the lines that a backslash joins, or to ``|`` or ``;``.
"""

from __future__ import annotations

import re

from llmspell.security.judging import chosen, hollow, worded
from llmspell.security.patterns import Rule

_ON = r"(?:[^\r\n|;\\]|\\(?:\r?\n)?)"
_SAID = r"[\"']?(?P<s>[^\s\"'`$<>(\[{|;&-][^\s\"'`|;&<>]{3,200})"
"""A value, which may be quoted; none is a variable, a placeholder or another option."""


def _given(value: str) -> bool:
    return chosen(value) or worded(value.rstrip(".:"))


def _rule(expression: str, *anchors: str) -> Rule:
    return Rule("password-argument", re.compile(expression), anchors, _given)


IN_COMMANDS: tuple[Rule, ...] = (
    _rule(r"--(?:(?:[a-z]{1,20}-){0,3}(?:password|passwd|passphrase|pass|secret|api-?key)"
          r"|(?:(?:access|auth|bearer|api|refresh|session|id|bot)-)?token)[ \t]{1,4}"
          r"[\"']?(?P<s>(?![-(])[^\s\"'`,;&<>|]{6,200})", "--"),
    Rule("password-argument", re.compile(
        rf"curl(?<![\w-].{{4}})\b{_ON}{{0,300}}?\s(?:-[a-zA-Z]{{0,6}}[uU]|--(?:proxy-)?user)[ =]?\s{{0,2}}[\"']?"
        r"[^\s:\"'$<>]{1,80}:[\"']?(?P<s>[^\s\"']{3,200})"),
        ("curl",), lambda value: value != "pass" and not hollow(value)),
    _rule(rf"sshpass\s{_ON}{{0,60}}?(?<=\s)-p\s{{0,4}}{_SAID}", "sshpass"),
    _rule(rf"(?:mysql|mariadb)[\w-]{{0,12}}\s{_ON}{{0,200}}?(?<=\s)-p{_SAID}", "mysql", "mariadb"),
    _rule(rf"(?:docker|podman|buildah|az|oc)\s{{1,4}}login\s{_ON}{{0,200}}?(?<=\s)-p\s{{0,4}}{_SAID}", " login"),
    _rule(rf"mongo[a-z]{{0,8}}\s{_ON}{{0,200}}?(?<=\s)-p\s{{0,4}}{_SAID}", "mongo"),
    _rule(rf"redis-cli\s{_ON}{{0,200}}?(?<=\s)-a\s{{1,4}}{_SAID}", "redis-cli"),
    _rule(rf"ldap[a-z]{{3,10}}\s{_ON}{{0,200}}?(?<=\s)-w\s{{0,4}}{_SAID}", "ldap"),
    _rule(rf"-pass(?:in|out)?\s{{1,4}}pass:{_SAID}", "pass:"),
)  # fmt: skip
"""By the command or option that stands before it."""
