"""What secrets look like: by the shape that their issuer gives them, by what stands before them, by their field's name.

Every expression is bounded: no group that repeats without bound repeats itself, so that time grows with the text and
not faster. ``anchors`` are texts of which one must be there for the rule to match at all; looking for them is what most
values cost. Where they stand in ordinary texts, too, an expression begins with one of few letters and looks behind it
for what comes before: Python's engine skips to such a letter, while it tries a choice of names at every place.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from llmspell.security.judging import (
    bare,
    chosen,
    drawn,
    hollow,
    literal,
    mixed,
    random_looking,
    worded,
    worded_amid,
    worded_long,
)

_LEFT = r"(?<![A-Za-z0-9_])"
_RIGHT = r"(?![A-Za-z0-9])"


class Rule(NamedTuple):
    """A kind of secret. The group ``s``, or else the whole match, is what is replaced; ``fits`` judges it further."""

    kind: str
    expression: re.Pattern[str]
    anchors: tuple[str, ...]
    fits: Callable[[str], bool] | None = None


def _shape(kind: str, expression: str, *anchors: str, fits: Callable[[str], bool] | None = None) -> Rule:
    return Rule(kind, re.compile(f"{_LEFT}(?:{expression}){_RIGHT}"), anchors, fits)


def _free(kind: str, expression: str, *anchors: str, fits: Callable[[str], bool] | None = None) -> Rule:
    return Rule(kind, re.compile(expression), anchors, fits)


def _card(digits: str) -> bool:
    """The checksum of payment cards (Luhn), for the ranges that are issued."""
    number = [int(char) for char in digits if char.isdigit()]
    text = "".join(map(str, number))
    if not _ISSUED(text) or len(set(text)) < 2:
        return False
    doubled = [digit * 2 - 9 if digit > 4 else digit * 2 for digit in number[-2::-2]]
    return (sum(number[-1::-2]) + sum(doubled)) % 10 == 0


_ISSUED = re.compile(
    r"(?:4\d{12}(?:\d{3}){0,2}|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}"
    r"|6(?:011|5\d\d|4[4-9]\d)\d{12}|35(?:2[89]|[3-8]\d)\d{12}|3(?:0[0-5]|[68]\d)\d{11})"
).fullmatch
_SIGN = r"[\"'\\]{0,4}\s{0,4}(?:=>|:=|=|:|is\b:?)\s{0,4}[\"'\\]{0,4}"
_UNTIL = r"[^\s\"'\\,;&<>|)}\]]"

SHAPES: tuple[Rule, ...] = (
    _shape("aws-access-key", r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}", "AKIA", "ASIA", "ABIA", "ACCA"),
    _shape("gcp-api-key", r"AIza[\w-]{35}", "AIza"),
    _shape("gcp-oauth-token", r"ya29\.[\w-]{20,400}", "ya29."),
    _shape("google-client-secret", r"GOCSPX-[\w-]{28}", "GOCSPX-"),
    _free("azure-storage-key", r"AccountKey=(?P<s>[A-Za-z0-9+/]{86}==)", "AccountKey="),
    _free("azure-sas", r"[?&]sig=(?P<s>[A-Za-z0-9%+/=]{43,120})", "sig="),
    _shape("github-token", r"gh[pousr]_[A-Za-z0-9]{36,251}", "ghp_", "gho_", "ghu_", "ghs_", "ghr_"),
    _shape("github-fine-grained-token", r"github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}", "github_pat_"),
    _shape("gitlab-token", r"gl(?:pat|dt|rt|ptt|cbt|soat|ft|imt|agent)-[\w-]{20,300}", "glpat-", "gldt-", "glrt-", "glptt-",
           "glcbt-", "glsoat-", "glft-", "glimt-", "glagent-"),
    _shape("bitbucket-token", r"ATBB[A-Za-z0-9]{32}", "ATBB"),
    _shape("atlassian-token", r"ATATT3[\w=-]{20,250}", "ATATT3"),
    _shape("openai-key", r"sk-(?:proj-|svcacct-|admin-)[\w-]{40,200}|sk-[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}"
           r"|sk-[A-Za-z0-9]{48}", "sk-"),
    _shape("deepseek-key", r"sk-[0-9a-f]{32}", "sk-"),
    _shape("anthropic-key", r"sk-ant-[a-z0-9]{3,8}-[\w-]{80,120}", "sk-ant-"),
    _shape("openrouter-key", r"sk-or-v1-[0-9a-f]{64}", "sk-or-"),
    _shape("huggingface-token", r"hf_[A-Za-z0-9]{30,40}", "hf_", fits=mixed),
    _shape("groq-key", r"gsk_[A-Za-z0-9]{48,56}", "gsk_"),
    _shape("xai-key", r"xai-[A-Za-z0-9]{60,90}", "xai-"),
    _shape("perplexity-key", r"pplx-[A-Za-z0-9]{40,60}", "pplx-"),
    _shape("nvidia-key", r"nvapi-[\w-]{60,80}", "nvapi-"),
    _shape("fireworks-key", r"fw_[A-Za-z0-9]{20,32}", "fw_", fits=random_looking),
    _shape("replicate-token", r"r8_[A-Za-z0-9]{37,40}", "r8_"),
    _shape("langsmith-key", r"lsv2_(?:pt|sk)_[0-9a-f]{32}_[0-9a-f]{10}", "lsv2_"),
    _shape("tavily-key", r"tvly-(?:dev-|prod-)?[A-Za-z0-9]{28,40}", "tvly-"),
    _shape("pinecone-key", r"pcsk_[A-Za-z0-9]{5,8}_[A-Za-z0-9]{50,70}", "pcsk_"),
    _shape("slack-token", r"xox[abeoprs]-[A-Za-z0-9-]{20,200}|xapp-\d-[A-Za-z0-9-]{20,200}", "xox", "xapp-"),
    _free("slack-webhook", r"hooks\.slack\.com/(?P<s>services/T\w{6,14}/B\w{6,14}/\w{20,30})", "hooks.slack.com/"),
    _free("discord-webhook", r"discord(?:app)?\.com/api/(?P<s>webhooks/\d{17,20}/[\w-]{60,75})", "/api/webhooks/"),
    _free("discord-token", r"[MNO](?<![A-Za-z0-9_].)[A-Za-z0-9]{23,27}\.[\w-]{6}\.[\w-]{27,40}" + _RIGHT, "."),
    _shape("telegram-token", r"\d{8,10}:AA[\w-]{33}", ":AA"),
    _shape("stripe-key", r"(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{24,120}", "k_live_", "k_test_"),
    _shape("stripe-webhook-secret", r"whsec_[A-Za-z0-9]{32,64}", "whsec_"),
    _shape("twilio-key", r"SK[0-9a-f]{32}", "SK"),
    _shape("sendgrid-key", r"SG\.[\w-]{22}\.[\w-]{43}", "SG."),
    _shape("mailgun-key", r"key-[0-9a-f]{32}", "key-"),
    _shape("mailchimp-key", r"[0-9a-f]{32}-us\d{1,2}", "-us"),
    _shape("npm-token", r"npm_[A-Za-z0-9]{36}", "npm_"),
    _shape("pypi-token", r"pypi-AgE[\w-]{50,250}", "pypi-AgE"),
    _shape("docker-token", r"dckr_(?:pat|oat)_[\w-]{27,40}", "dckr_"),
    _shape("digitalocean-token", r"do[oprt]_v1_[0-9a-f]{64}", "_v1_"),
    _shape("shopify-token", r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}", "shpat_", "shpca_", "shppa_", "shpss_"),
    _shape("databricks-token", r"dapi[0-9a-f]{32}(?:-\d)?", "dapi"),
    _shape("vault-token", r"hv[sbr]\.[\w-]{24,150}", "hvs.", "hvb.", "hvr."),
    _shape("linear-key", r"lin_(?:api|oauth)_[A-Za-z0-9]{32,64}", "lin_"),
    _shape("notion-token", r"(?:secret|ntn)_[A-Za-z0-9]{43,50}", "secret_", "ntn_"),
    _shape("grafana-token", r"glsa_[A-Za-z0-9]{32}_[0-9a-fA-F]{8}", "glsa_"),
    _shape("jwt", r"eyJ(?:(?!-eyJ)[\w-]){8,4000}+\.eyJ[\w-]{8,8000}\.[\w-]{10,2000}", "eyJ"),
    _shape("age-secret-key", r"AGE-SECRET-KEY-1[02-9AC-HJ-NP-Z]{58}", "AGE-SECRET-KEY-1"),
    _free("private-key", r"-----BEGIN (?:[A-Z]{2,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----[^-]{0,6000}(?:-(?!----)[^-]{0,6000}){0,6}"
          r"(?:-----END (?:[A-Z]{2,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----)?", "PRIVATE KEY"),
    _free("connection-string", r"://(?<=[A-Za-z0-9+.-]{2}://)[^\s:/@\"'<>]{0,100}:(?P<s>[^\s/@\"'<>]{1,200})@[\w.\[-]",
          "://", fits=lambda value: not hollow(value)),
    _free("url-token", r"://(?P<s>[^\s:/@\"'<>?#]{20,200})@[\w.\[-]", "://", fits=random_looking),
    _free("bearer-token", r"[bB](?i:earer)\s{1,4}(?P<s>[A-Za-z0-9._~+/-]{16,2000}={0,2})", "earer ", "EARER ",
          fits=random_looking),
    _free("basic-auth", r"[bB](?i:asic)\s{1,4}(?P<s>[A-Za-z0-9+/]{12,600}={0,2})(?![A-Za-z0-9])", "asic ", "ASIC ",
          fits=random_looking),
    _free("payment-card", r"\d(?<![A-Za-z0-9._-].)(?:[ -]?\d){12,18}(?![A-Za-z0-9_]|[.-]\d)", "0", "1", "2", "3", "4", "5", "6", "7", "8",
          "9", fits=_card),
)  # fmt: skip
"""By what stands in the value itself."""

_CHOSEN = "[pP](?i:assword|asswd|assphrase|wd|asswort)"
_ECRET = "[cC](?i:(?<=sec)ret)"
_HIDDEN = "[pPcC](?i:(?<=p)(?:assword|asswd|assphrase|wd|asswort)|(?<=sec)ret)"


def _key_of(*owners: str) -> str:
    """What stands behind the ``k`` of ``api_key`` and its like."""
    return f"ey(?:{'|'.join(f'(?<={owner}{dash}key)' for owner in owners for dash in ('', '[_-]'))})"


_KEYS = _key_of("api", "access", "auth", "private", "signing", "encryption", "account")
_DRAWN = f"[kKdDbB](?i:{_KEYS}|(?<=tok)en|(?<=cred)entials?|earer)"
_DRAWN_OR_SECRET = f"[kKdDbBcC](?i:{_KEYS}|(?<=tok)en|(?<=cred)entials?|(?<=sec)ret|(?<=b)earer)"
_DIRECT = r"[\"'\\]{0,4}[ \t]{0,4}(?:=>|:=|=|:)[ \t]{0,4}"
_WORDS = r"(?P<s>[^\W\d_]{2,64}+(?:-[^\W\d_]{1,40}+){0,8}+)"
_ENDS = r"(?=[.,;]?[ \t]{0,4}(?:\Z|[\r\n\"'\\<>|)}\]&#])|[,;]\S)"
_GOES_ON = r"(?=[.,;]?[ \t]{1,4}[^\s#])"
_QUOTED = r"(?P<q>\\{0,3}[\"'])(?P<s>[^\"'\\\r\n]{8,200})(?=(?P=q))"
_BY_CHOSEN = ("pass", "Pass", "PASS", "pwd", "Pwd", "PWD")
_BY_HIDDEN = ("ecret", "ECRET")
_BY_DRAWN = ("key", "Key", "KEY", "oken", "OKEN", "redential", "REDENTIAL", "earer", "EARER")

_NAMED = f"[pPcCkK](?i:(?<=p)(?:assword|asswd|assphrase|wd)|(?<=sec)ret|{_KEYS}|(?<=_tok)en)"
"""The end of a telling name, in a list of names with values."""


def _given(value: str) -> bool:
    return chosen(value) or worded(value)


BEHIND_NAMES: tuple[Rule, ...] = (
    _free("password", _HIDDEN + _DIRECT + "[bBuUrR]{0,2}" + _QUOTED, *_BY_CHOSEN, *_BY_HIDDEN, fits=literal),
    _free("password", _CHOSEN + _SIGN + rf"(?P<s>{_UNTIL}{{6,200}})", *_BY_CHOSEN, fits=chosen),
    _free("password", _CHOSEN + _DIRECT + _WORDS + _ENDS, *_BY_CHOSEN, fits=worded),
    _free("password", _CHOSEN + _DIRECT + _WORDS + _GOES_ON, *_BY_CHOSEN, fits=worded_amid),
    _free("password", r"[pP](?:(?<![A-Za-z].)|(?<=[a-z]P))(?i:ass(?:code)?|w)" + _SIGN + rf"(?P<s>{_UNTIL}{{8,200}})",
          "pass", "Pass", "PASS", "pw", "PW", fits=drawn),
    _free("password", r"[pP](?i:assword|asswd)(?:\s{1,3}|\s{0,2}\(\s{0,2})'(?P<s>[^'\\\r\n]{6,200})'", *_BY_CHOSEN, fits=literal),
    _free("password", r"[iI](?i:dentified\s{1,4}by)\s{1,4}'(?P<s>[^'\\\r\n]{6,200})'", "dentified", "DENTIFIED", fits=literal),
    _free("password", r"[lL](?i:ogin)\s{1,4}[^\s]{1,80}\s{1,8}password\s{1,4}(?P<s>[^\s]{6,200})", "ogin", "OGIN", fits=_given),
    _free("password", _NAMED + r"[\"']?,?\s{1,40}[\"']?(?i:value)[\"']?\s{0,3}[:=]\s{0,3}[\"']?" + rf"(?P<s>{_UNTIL}{{6,400}})",
          "alue", "ALUE", fits=_given),
    _free("password", r"ENV\s{1,4}(?:[A-Z0-9]{1,20}_){0,4}(?:PASS(?:WORD|WD)?|SECRET|TOKEN|KEY)\s{1,4}" + rf"(?P<s>{_UNTIL}{{6,400}})",
          "ENV ", fits=_given),
    _free("aws-secret-key", r"[wW](?<=[aA].)(?i:s.{0,20}?(?:secret|key))[^A-Za-z0-9/+]{1,20}(?P<s>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])",
          "aws", "AWS", "Aws", fits=random_looking),
    _free("named-secret", _DRAWN_OR_SECRET + "(?i:[_-](?:key|id|access[_-]key))?"
          + _SIGN + rf"(?P<s>{_UNTIL}{{12,400}})", *_BY_DRAWN, *_BY_HIDDEN, fits=random_looking),
    _free("named-secret", _ECRET + "(?<!:......)" + _DIRECT + rf"(?P<s>{_UNTIL}{{8,200}})", *_BY_HIDDEN, fits=chosen),
    _free("named-secret", _ECRET + "(?<![A-Za-z'][ ]......)" + _DIRECT + _WORDS + _ENDS, *_BY_HIDDEN, fits=worded),
    _free("named-secret", _ECRET + "=" + _WORDS + _ENDS, *_BY_HIDDEN, fits=worded),
    _free("named-secret", _ECRET + _DIRECT + _WORDS + _GOES_ON, *_BY_HIDDEN,
          fits=lambda value: value.count("-") > 1 and worded_amid(value)),
    _free("named-secret", _DRAWN + _DIRECT + r"[\"'\\]{0,4}" + _WORDS + r"(?![\w:(\[@/-]|\.\w)", *_BY_DRAWN, fits=worded_long),
    _free("named-secret", r"[aA](?i:uthorization)" + _DIRECT + r"[\"'\\]{0,4}(?i:(?:token|key|api-?key|digest|negotiate|oauth)\s{1,4})?"
          rf"(?P<s>{_UNTIL}{{12,2000}})", "uthorization", "UTHORIZATION", fits=random_looking),
    _free("password-element", r"<[\w:.-]{0,40}?" + _HIDDEN + r"(?:\s[^<>]{0,200})?>(?P<s>[^\s<>]{6,200})</",
          "</", fits=lambda value: chosen(value) or literal(value)),
    _free("password-element", r"<[\w:.-]{0,40}?(?i:api[_-]?key|token)(?:\s[^<>]{0,200})?>(?P<s>[^\s<>]{8,400})</",
          "</", fits=bare),
)  # fmt: skip
"""By what stands before it in a text: ``password=…``, ``"api_key": "…"``, ``<password>…``."""
