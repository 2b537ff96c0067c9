"""Personal data and secrets in text: found by pattern and entropy, replaced as StarCoder did.

An e-mail address becomes <EMAIL>, a key <KEY>, a password <PASSWORD>, an IP address another one
that belongs to nobody (arXiv 2305.06161, section 4). Names need a trained model and are left. What
documentation uses for examples (example.com, 192.0.2.1, 127.0.0.1, "changeme") is nobody's either
and stays.
"""

import ipaddress
import math
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

EMAIL, KEY, PASSWORD, IP = "email", "key", "password", "ip"
MARKS = {EMAIL: "<EMAIL>", KEY: "<KEY>", PASSWORD: "<PASSWORD>"}
# Addresses set aside for documentation: RFC 5737 and RFC 3849.
_IPV4 = tuple(f"{net}.{host}" for net in ("192.0.2", "198.51.100", "203.0.113") for host in (7, 42))
_IPV6 = tuple(f"2001:db8::{part}" for part in ("7", "42", "a1", "b2", "c3", "d4"))


@dataclass(frozen=True)
class Finding:
    """One place of a text: its kind, its first character and the one after its last."""

    kind: str
    start: int
    end: int


_EMAIL = re.compile(
    r"(?<![\w.%+/@-])[A-Za-z0-9][\w.%+-]{0,63}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,8}"
    r"[A-Za-z]{2,24}(?![\w@-]|\.\w|\()", re.ASCII,
)  # fmt: skip
_NOBODY = re.compile(
    r"(?i)@(.*\.)?(example|invalid|test|localhost|local)$|@(.*\.)?example\.(com|net|org|edu)$"
    r"|@(.*\.)?(foo|bar|domain|host|server|email|yourdomain|somewhere|xyz)\.(com|net|org)$"
    r"|^(user|name|you|your\.?name|someone|nobody|foo|bar|git|noreply|no-reply)@"
    r"|\.(png|jpe?g|gif|svg|py|js|css|html?|json)$"
)
_V4 = re.compile(r"(?<![\w.:/-])(?:\d{1,3}\.){3}\d{1,3}(?![\w-]|\.\d)", re.ASCII)
# every address that the internet routes to one machine begins with 2 or 3 (RFC 4291, 2.4)
_V6 = re.compile(
    r"(?<![\w.:])[23][0-9A-Fa-f]{3}:(?:[0-9A-Fa-f]{1,4}:){0,6}(?::|[0-9A-Fa-f]{1,4})"
    r"(?::?[0-9A-Fa-f]{1,4}){0,5}"
    r"(?![\w:]|\.\w)", re.ASCII,
)  # fmt: skip
_TWO_COLONS = re.compile(r":[0-9A-Fa-f]{0,4}:")
_VERSION = re.compile(r"(?i)(version|release|\bver|\bv|==|>=|<=|~=|\bsection|§|\boid)[\"' :=,(]*$")
_KNOWN_HOSTS = {"8.8.8.8", "8.8.4.4", "1.1.1.1", "1.0.0.1", "9.9.9.9", "1.2.3.4"}

# Keys that say what they are, and how these begin: looking for that first is twenty times faster.
_BEGINNINGS = (
    "-----BEGIN ", "AKIA", "ASIA", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-",
    "xox", "AIza", "sk_", "rk_", "sk-", "hf_", "npm_", "pypi-", "SG.", "eyJ",
)  # fmt: skip
_KEYS = re.compile(
    r"""(?x)
    -----BEGIN\ (?:[A-Z0-9]+\ )*PRIVATE\ KEY(?:\ BLOCK)?-----[\s\S]{16,20000}?
        -----END\ (?:[A-Z0-9]+\ )*PRIVATE\ KEY(?:\ BLOCK)?-----
    | (?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])            # Amazon
    | (?<![A-Za-z0-9])gh[pousr]_[A-Za-z0-9]{36,255}(?![A-Za-z0-9])        # GitHub
    | (?<![A-Za-z0-9])github_pat_[A-Za-z0-9_]{60,255}(?![A-Za-z0-9])
    | (?<![A-Za-z0-9])glpat-[A-Za-z0-9_-]{20,64}(?![A-Za-z0-9])           # GitLab
    | (?<![A-Za-z0-9])xox[abeprs]-[A-Za-z0-9-]{10,250}(?![A-Za-z0-9])     # Slack
    | (?<![A-Za-z0-9])AIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9])                # Google
    | (?<![A-Za-z0-9])[sr]k_(?:live|test)_[A-Za-z0-9]{16,99}(?![A-Za-z0-9])   # Stripe
    | (?<![A-Za-z0-9])sk-(?:proj-|ant-)?[A-Za-z0-9_-]{32,200}(?![A-Za-z0-9])
    | (?<![A-Za-z0-9])hf_[A-Za-z0-9]{30,60}(?![A-Za-z0-9])                # Hugging Face
    | (?<![A-Za-z0-9])npm_[A-Za-z0-9]{36}(?![A-Za-z0-9])
    | (?<![A-Za-z0-9])pypi-[A-Za-z0-9_-]{50,255}(?![A-Za-z0-9])
    | (?<![A-Za-z0-9])SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}(?![A-Za-z0-9])  # SendGrid
    | (?<![A-Za-z0-9])eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}  # JWT
    """
)
# A value given to a name that speaks of secrets: name = "value", "name": "value", name=value.
_SPEAKING = (
    "passwd", "password", "pwd", "secret", "token", "apikey", "api_key", "api-key", "accesskey",
    "access_key", "access-key", "authkey", "auth_key", "auth-key", "privatekey", "private_key",
    "private-key", "credential",
)  # fmt: skip
_ASSIGNED = re.compile(
    r"""(?ix)
    (?P<name>[\w.-]{3,40})
    ["']?[ \t]{0,4}(?::(?!:)|=(?!=)|=>)[ \t]{0,4}
    (?:[rbuf]{0,2}(?P<quote>["'])(?P<value>[^"'\s\\]{6,256})(?P=quote)
       |(?P<bare>[A-Za-z0-9_+/=.~-]{16,256})(?=\s|$|[;,]))
    """
)
_URL_PASSWORD = re.compile(
    r"(?<=://)[^\s:/@\"'<>{}$%]{1,64}:([^\s:/@\"'<>{}$%]{3,128})(?=@[\w.-]+)"
)
_PLACE = re.compile(
    r"(?i)^[<\[{(%$]|[>\]})]$|\{|\$\(|%s|example|changeme|change_me|placeholder|dummy|your|^x+$|^\*+$"
    r"|^(passw(or)?d|secret|token|none|null|true|false|test|foo|bar|user|pass|default)[\d_]*$"
)


def entropy(text: str) -> float:
    """Bits per character of a string, from how often each of its characters occurs (Shannon)."""
    counts = Counter(text)
    return -sum(n / len(text) * math.log2(n / len(text)) for n in counts.values())


def looks_random(text: str) -> bool:
    """Whether a string has the characters of a key: many kinds, in no order that words have."""
    if len(text) < 16 or _PLACE.search(text):
        return False
    hexadecimal = re.fullmatch(r"[0-9a-fA-F]+", text) is not None
    digits = sum(c.isdigit() for c in text)
    if digits in (0, len(text)) or len(set(text)) < 8:
        return False
    # 16 random hexadecimal digits have 3.3 bits on average, 16 of 64 characters 3.8
    return entropy(text) >= (2.8 if hexadecimal else 3.3)


def find_secrets(text: str) -> list[Finding]:
    """Where a text holds e-mail addresses, IP addresses, keys and passwords.

    Returns:
        In the order of the text; none overlaps another.
    """
    taken: list[Finding] = []
    for finding in sorted(_candidates(text), key=lambda f: (f.start, -f.end)):
        if not taken or finding.start >= taken[-1].end:
            taken.append(finding)
    return taken


def _places(text: str, words: Iterable[str]) -> list[int]:
    """Where any of some words begins, ascending."""
    found = []
    for word in words:
        at = text.find(word)
        while at >= 0:
            found.append(at)
            at = text.find(word, at + 1)
    return sorted(found)


def _lines(text: str, places: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Begin and end of the lines in which some ascending places lie, each once."""
    end = -1
    for place in places:
        if place > end:
            begin = text.rfind("\n", 0, place) + 1
            end = text.find("\n", place)
            end = len(text) if end < 0 else end
            yield begin, end


def _candidates(text: str) -> Iterator[Finding]:
    yield from _find_keys(text)
    yield from _find_assigned(text)
    for begin, end in _lines(text, _places(text, "@")):
        logins = [match.span(1) for match in _URL_PASSWORD.finditer(text, begin, end)]
        for first, last in logins:
            if not _PLACE.search(text[first:last]):
                yield Finding(PASSWORD, first, last)
        for match in _EMAIL.finditer(text, begin, end):
            inside = any(first < match.end() and match.start() < last for first, last in logins)
            if not inside and not _NOBODY.search(match[0]):
                yield Finding(EMAIL, *match.span())
    for match in _V4.finditer(text):
        before = text[max(0, match.start() - 12) : match.start()]
        if _is_somebodys(match[0]) and not _VERSION.search(before):
            yield Finding(IP, *match.span())
    for begin, end in _lines(text, (m.start() for m in _TWO_COLONS.finditer(text))):
        for match in _V6.finditer(text, begin, end):
            if _is_somebodys(match[0]):
                yield Finding(IP, *match.span())


def _find_keys(text: str) -> Iterator[Finding]:
    for place in _places(text, _BEGINNINGS):
        if text.startswith("-----", place) and text.find("-----END ", place, place + 20_100) < 0:
            continue
        match = _KEYS.match(text, place)
        if match and (match[0].startswith("-----") or not _PLACE.search(match[0][4:])):
            yield Finding(KEY, *match.span())


def _find_assigned(text: str) -> Iterator[Finding]:
    """Values given to names that speak of secrets."""
    lower = text.lower()
    if len(lower) != len(text):  # a few letters have a lower case of two characters
        lower = text
    for begin, end in _lines(text, _places(lower, _SPEAKING)):
        for match in _ASSIGNED.finditer(text, begin, end):
            name = match["name"].lower()
            if not any(word in name for word in _SPEAKING):
                continue
            part = "value" if match["value"] is not None else "bare"
            value = match[part]
            password = "passw" in name or "pwd" in name
            if looks_random(value) or (password and part == "value" and _is_password(value)):
                yield Finding(PASSWORD if password else KEY, *match.span(part))


def _is_password(value: str) -> bool:
    """At least eight characters of three kinds, one of them a digit or a sign."""
    kinds = (str.islower, str.isupper, str.isdigit, lambda c: not c.isalnum())
    present = [any(map(kind, value)) for kind in kinds]
    return len(value) >= 8 and sum(present) >= 3 and not _PLACE.search(value)


def _is_somebodys(address: str) -> bool:
    """Whether an IP address is one that a machine on the internet can have."""
    if address in _KNOWN_HOSTS:
        return False
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    small = found.version == 4 and max(found.packed[1:]) < 16  # 5.1.0.2: rather a version
    return found.is_global and not found.is_multicast and not small


def replace(text: str, findings: Sequence[Finding]) -> str:
    """The text with something else in the places that `find_secrets` gave.

    An IP address becomes one that is set aside for documentation, the same one wherever it occurs.
    """
    out, end = [], 0
    for finding in findings:
        found = text[finding.start : finding.end]
        out += [text[end : finding.start], MARKS.get(finding.kind) or _other_address(found)]
        end = finding.end
    return "".join([*out, text[end:]])


def redact(text: str) -> tuple[str, Counter[str]]:
    """A text without its personal data and secrets, and how many of each kind it held."""
    findings = find_secrets(text)
    return replace(text, findings), Counter(finding.kind for finding in findings)


def _other_address(address: str) -> str:
    choices = _IPV6 if ":" in address else _IPV4
    return choices[zlib.crc32(address.encode()) % len(choices)]
