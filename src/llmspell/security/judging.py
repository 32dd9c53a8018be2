"""Whether a text that stands where a secret may stand is one: drawn at random, chosen by a person, or merely a word.

The place decides how much it takes. Behind ``password=`` and in quotes, a word is a password; behind ``password:`` in a
sentence it may be the sentence going on; in a field ``token`` it may be what a tokenizer calls so. None of this knows
a language: there are lists of words that stand in such places without being secrets, and endings that such words have.
"""

from __future__ import annotations

import re
from itertools import pairwise
from string import punctuation

_WORDY = re.compile(r"[A-Za-z]{1,40}(?:[_.-][A-Za-z]{1,40}){0,8}").fullmatch
_HOLLOW = re.compile(
    r"(?i)(?:x{3,}|\*{3,}|\.{3,}|null|none|nil|true|false|undefined|redacted|change(?:me|it|this)|example|placeholder"
    r"|your[_-].{0,80}|your(?:password|secret|token|(?:api)?key)(?:here)?|(?:env|file|fd):.{0,120}|u?(?:int|float)\d{1,3}array"
    r"|required|optional|string|hidden|masked|secret|password|token|<.{0,80}|\$\w{0,80}|\$[{(].{0,80}|%.{0,80}"
    r"|\{.{0,80}|\[.{0,80}|@.{0,80})"
).fullmatch  # fmt: skip
_CODE = re.compile(r"[A-Za-z_][\w.]{0,80}[(\[]").match
_CAMEL = re.compile(r"[A-Z]?[a-z]{2,40}(?:[A-Z][a-z]{1,40}){1,8}").fullmatch
_PLACE = re.compile(r"\.{0,2}/|~/|[A-Za-z][\w+.-]{0,30}://|[\w.+-]{1,64}@[\w-]{1,64}\.[\w.-]{1,80}$").match
_METHOD = re.compile(
    r"(?i)(?:(?:scram|hmac|sha|md|aws|oauth|oidc|saml|sasl|ntlm|kerberos|ldap|tls|ssl|x|v|sig|sigv|jwt|rsa|ecdsa|ed)[-_.\d]{0,6}){1,5}"
).fullmatch
_SPACE = re.compile(r"\s").search
_DAY = r"\d{4}-?\d\d-?\d\d"
_CLOCK = r"\d\d(?:(?::|%3[Aa])?\d\d){0,2}(?:[.,]\d{1,9})?"
_ZONE = r"(?:[Zz]|(?:[+-]|%2[Bb])\d\d(?:(?::|%3[Aa])?\d\d)?)?"
_TIME = re.compile(f"{_DAY}[Tt ]{_CLOCK}{_ZONE}").fullmatch
"""A moment as ISO 8601 writes it, also in a URL."""
_PLAIN = re.compile(_DAY + r"|v?\d{1,5}(?:\.\d{1,5}){1,3}(?::\d{1,5})?").fullmatch
"""A day, a version, an address with its port."""
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+").findall
_SIGNED = re.compile(r"(?=.*[A-Za-z])(?=.*\d)[\w]+[!$#?*%&@+^~][\w!$#?*%&@+^~]*").fullmatch
_INNER_DIGIT = re.compile(r"[A-Za-z]{1,40}\d{1,40}[A-Za-z]").search
_PATH = re.compile(r"(?:~|\.{0,2})/[\w.-]{1,200}+(?:/[\w.-]{1,200}+){0,40}+/?$").match


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SMALL = _words(
    """
    a an and any are as at be been but by can cannot do does for from has have if in is it its may more must no not
    of on one or our out should so than that the their then there they this to too up was we were what when where
    which who will with would you your
    """
)
"""Words that sentences are held together by: what has one is no password made of words."""
_TERMS = _words(
    """
    access account api app arg args argument arguments auth authentication authorization based bearer bytes case
    cert client code config confirm cookie credential credentials current database default defined empty env
    environment field file forgot form generated hash hashed header id incorrect input invalid key keys login
    manager method mode name new none null oauth object old only optional output param params passphrase passwd
    password passwords path plain policy process profile prompt provider pwd read request required reset response
    salt secret secrets self sensitive server service session setting settings ssl store str string text this tls
    token tokens type user username value values variable vault write wrong
    """
)
"""Words that names of settings, variables and types are made of: what has one among others is such a name."""
_COMMON = _words(
    """
    according additional administrator afterwards algorithm alphanumeric although anything arguments asterisk
    attempted authentication autocomplete automatic available candidate character characters checkbox complete
    complexity computed confidential configured confirmation confirmed constant contains continue correctly creation
    credential credentials database declined decrypted defaults deprecated description different directory disabled
    document documentation elsewhere encoding encrypted encryption environment everybody everyone everything
    expected expiration external following forbidden forgotten function generated generator guessable hardcoded
    hopefully identical identity immediately implemented important incomplete incorrect information inherited initially
    insecure instance interactive internal internally keychain language likewise longtext lowercase maintained
    mandatory manually matching mediumtext mentioned mismatch mismatched modified multiple namespace navigate
    necessary nevertheless normally nullable obtained occasionally operation optional optionally original otherwise
    overridden parameter passphrase passwords permanent permission personal placeholder plaintext possible practice
    preferably previous probably property protected provided providing question randomly received recommended
    recovery redacted reference rejected remember required requirement requirements resource response retrieved
    returned revealed rotation sanitized security separate settings simplicity somebody something sometimes
    somewhere specified standard stronger submitted suggested supplied supported template temporarily temporary
    terminal textarea textfield therefore threshold together transfer tutorial unchanged uncommon undefined
    unexpected unfortunately universal unlimited unmodified unspecified unsupported untouched uppercase username
    validation validator variable verified violation whatever whenever wherever whichever wildcard worthless
    yourself
    """
)
"""Words of eight letters and more that stand behind ``password:`` in manuals, messages and code."""
_SCHEMES = _words("apikey api-key aws4-hmac-sha256 basic bearer digest hmac key negotiate ntlm oauth signature token")
"""Words that credentials follow in a header."""
_ENDINGS = tuple(
    _words(
        """
        ing ings ed ly tion tions sion ment ments able ible ness ity ance ence ful less ous ive ize ise ify ate
        ical ially ship ism ure ary ory ies ers ors ally
        """
    )
)


def path_like(value: str) -> bool:
    """Whether it is the path of a file or folder, as ``PWD=/var/www`` says: made of names, none of which is drawn."""
    return _PATH(value) is not None and not mixed(value)


def chosen(value: str) -> bool:
    """Whether text behind ``password=`` is a password rather than a word, a place to put one, or program code."""
    if len(value) < 6 or _CODE(value) or path_like(value) or _TIME(value):
        return False
    said = value.rstrip(".:?")  # As a sentence or the key of a mapping ends.
    if len(said) < 4 or _HOLLOW(said):
        return False
    return not _WORDY(said) or (
        len(said) >= 10 and said.lower() != said and said.upper() != said and mixed(said) and not _CAMEL(said)
    )


def random_looking(value: str) -> bool:
    """Whether text behind ``token=`` was drawn rather than written: long, with digits among letters."""
    if len(value) < 12 or _HOLLOW(value) or _CODE(value) or _CAMEL(value) or _TIME(value.rstrip(".")):
        return False
    is_mixed = mixed(value) or (any(map(str.isdigit, value)) and any(map(str.isalpha, value)))
    return is_mixed and len(set(value)) >= 7


def drawn(value: str) -> bool:
    """Whether text behind ``pass:``, which tests and rounds have as well, is a password: no name, count or result, but
    letters around digits, signs among letters, or capitals inside of words.
    """
    if not chosen(value) or _METHOD(value) or _PLACE(value) or _PLAIN(value):
        return False
    core = value.strip(".:,")
    if len(re.split(r"[-_./:]+", core)) > 1:
        return mixed(core)
    if _SIGNED(core):
        return True
    if len(core) >= 10 and _INNER_DIGIT(core) is not None:
        return True
    return mixed(core) and core.lower() != core != core.upper() and any(map(str.isdigit, core))


def mixed(value: str) -> bool:
    """Capitals inside of words, as drawn text has them and camel case hardly does."""
    changes = sum(a.islower() != b.islower() and a.isalnum() and b.isalnum() for a, b in pairwise(value))
    return changes > len(value) // 5


def hollow(value: str) -> bool:
    """Whether it only stands in the place of a value: ``null``, ``${NAME}``, ``<your password>``."""
    return _HOLLOW(value) is not None


def worded(value: str) -> bool:
    """Whether letters and dashes behind a telling name are somebody's secret, and no name of something or adjective.

    Eight letters at the least; what is left to tell a secret by is that it is none of the usual words.
    """
    if len(value) < 8 or _HOLLOW(value) or _CAMEL(value) or not value.replace("-", "").isalpha():
        return False
    words = value.lower().split("-")
    return not _SMALL.intersection(words) and not _TERMS.intersection(words) and not _COMMON.intersection(words)


def worded_amid(value: str) -> bool:
    """The same where a sentence may be going on: what ends as derived words do is one of its words, too."""
    return worded(value) and not value.lower().endswith(_ENDINGS)


def worded_long(value: str) -> bool:
    """The same behind the name of a token or key: twenty letters, as no single word has them."""
    return len(value) >= 20 and worded(value)


def literal(value: str) -> bool:
    """Whether text in quotes behind ``password:`` is a password: most is, but for labels, messages and placeholders."""
    said = value.strip().rstrip(".:!?")
    if len(value) < 8 or len(said) < 4 or _HOLLOW(said) or _CODE(value):
        return False
    words = {word.lower() for word in _PARTS(value)}
    if " " in value and value[:1].isupper():  # Begins as labels and messages do.
        return chosen(value.split(" ", maxsplit=1)[0])
    if " " in value or (len(words) > 1 and not any(map(str.isdigit, value))):
        return not (words & _SMALL or words & _TERMS)
    return said.lower() not in _COMMON


def bare(value: str) -> bool:
    """Whether the value of a field ``token`` or ``auth`` is one, rather than a word or a pair of them, what a tokenizer
    made of a text, the name of a method, or a place. Eight characters without spaces at the least.
    """
    value = value.strip()
    if _SPACE(value) or _TIME(value) or _PLAIN(value):
        return False
    if random_looking(value):
        return not _METHOD(value)
    core = value.strip(punctuation)
    if len(core) < 8 or _HOLLOW(value) or _CODE(value) or _PLACE(value) or _METHOD(core):
        return False
    words = re.split(r"[-_./]+", core)
    if not all(map(str.isalpha, words)):
        return not any(len(word) > 1 and word in _SMALL for word in words)  # 3-of-4
    if len(words) < 3:
        return mixed(core) and not _CAMEL(core)
    small = {word.lower() for word in words}
    return not (small & _SMALL or small & _TERMS)


def header(value: str) -> bool:
    """Whether the value of a field ``authorization`` is what a header of that name holds: a scheme and its credentials,
    or a text that was drawn; rather than what is said of it, like ``required``.
    """
    scheme, _, rest = value.strip().partition(" ")
    rest = rest.strip()
    if not rest:
        return bare(scheme)
    words = set(rest.lower().split())
    if scheme.lower() not in _SCHEMES:
        return any(map(bare, value.split()))
    return not (hollow(rest) or _PLAIN(rest) or words & _SMALL or words & _TERMS or words & _COMMON)
