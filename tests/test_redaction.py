"""Personal data and secrets: what is planted is found, what is clean is left alone."""

import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from messy import SECRETS, program

from minilm.data import documents
from minilm.data.clean.redaction import Finding, entropy, find_secrets, looks_random, redact

LETTERS = string.ascii_letters + string.digits


def token(seed: int, length: int, alphabet: str = LETTERS) -> str:
    rng = random.Random(seed)
    return "".join(rng.choice(alphabet) for _ in range(length))


KEYS = {
    "Amazon": "AKIA" + token(1, 16, string.ascii_uppercase + string.digits),
    "GitHub": "ghp_" + token(2, 36),
    "GitHub, fine-grained": "github_pat_" + token(3, 82),
    "GitLab": "glpat-" + token(4, 20),
    "Slack": "xoxb-" + token(5, 40),
    "Google": "AIza" + token(6, 35),
    "Stripe": "sk_live_" + token(7, 24),
    "OpenAI": "sk-proj-" + token(8, 48),
    "Hugging Face": "hf_" + token(9, 34),
    "npm": "npm_" + token(10, 36),
    "PyPI": "pypi-" + token(11, 100),
    "SendGrid": f"SG.{token(12, 22)}.{token(13, 43)}",
    "JWT": f"eyJ{token(14, 20)}.eyJ{token(15, 30)}.{token(16, 43)}",
    "PEM": "-----BEGIN RSA PRIVATE KEY-----\n" + token(17, 64) + "\n-----END RSA PRIVATE KEY-----",
}


@pytest.mark.parametrize("name", KEYS)
def test_keys_that_say_what_they_are(name):
    text = f"client = connect('{KEYS[name]}')\n"
    assert redact(text)[0] == "client = connect('<KEY>')\n"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("api_key = '{}'", "api_key = '<KEY>'"),
        ('  "client_secret": "{}",', '  "client_secret": "<KEY>",'),
        ("export AUTH_TOKEN={}\n", "export AUTH_TOKEN=<KEY>\n"),
        ("db_password = '{}'", "db_password = '<PASSWORD>'"),
    ],
)
def test_a_random_value_of_a_name_that_speaks_of_secrets(text, clean):
    for seed in (s for s in range(20) if any(c.isdigit() for c in token(s, 24))):
        assert redact(text.format(token(seed, 24)))[0] == clean
        assert redact(text.format(token(seed, 32, "0123456789abcdef")))[0] == clean


def test_addresses():
    text = (
        "Write to Anna <anna.schmidt+x@mail.uni-heidelberg.de>, host 141.35.27.9 or 2a02:8109::1."
    )
    clean, counts = redact(text)
    assert counts == {"email": 1, "ip": 2}
    assert clean.startswith("Write to Anna <<EMAIL>>, host ")
    assert "141.35" not in clean and "8109" not in clean and "2001:db8::" in clean
    assert redact("a 141.35.27.9 b 141.35.27.9")[0].split()[1::2] == [redact("141.35.27.9")[0]] * 2
    assert redact("postgres://admin:hunter42x@db.firma.de/x")[0] == (
        "postgres://admin:<PASSWORD>@db.firma.de/x"
    )


CLEAN = """
@property
def mail(self): return user@matrix  # a @ b, A@B.T
version = "1.20.3.4"; v4.12.0.1; requires ==2.31.0.6; section 8.14.21.3
localhost = "127.0.0.1", "0.0.0.0", "10.0.0.12", "192.168.1.7", "169.254.3.4", "::1", "fe80::12"
documentation = "192.0.2.17", "198.51.100.3", "2001:db8::8:800:200c:417a", "someone@example.com"
public = "8.8.8.8", "1.1.1.1"
git@github.com:owner/name.git  icon@2x.png  std::vector<a::b> a:b::c dead:beef::1
x[1::2]  10:20:30  00:1b:44:11:3a:b7
token = tokens[position]; password = getpass.getpass(); secret = os.environ["SECRET_NAME_HERE"]
password = "changeme"; api_key = "your-api-key-goes-here"; token = "{token}"; pwd = "%s" % pwd
password = "password"; next_token = "end_of_the_document"; secret_key = "<secret>"
sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
uuid = "123e4567-e89b-12d3-a456-426614174000"; base64 = "aGVsbG8gd29ybGQgdGhpcyBpcyBmaW5l"
"""


def test_a_clean_control_is_left_alone():
    assert find_secrets(CLEAN) == []
    for seed in range(30):
        assert find_secrets(program(seed)) == []


def test_the_standard_library_holds_no_keys():
    """What is found in three megabytes of real code are addresses of its authors."""
    found = [f.kind for text in documents("python-code")[::4] for f in find_secrets(text)]
    assert found.count("email") > 20
    assert found.count("key") == found.count("password") == 0


@given(st.integers(0, 10**6), st.sampled_from(sorted(SECRETS)), st.booleans())
def test_a_planted_secret_is_found_anywhere(seed, kind, whole_line):
    rng = random.Random(seed)
    lines = program(seed % 50).split("\n")
    value = SECRETS[kind] if kind != "password" else f"password = '{SECRETS[kind]}'"
    place = rng.randrange(len(lines))
    lines[place] = value if whole_line else f"{lines[place]}  # {value} "
    text = "\n".join(lines)
    (finding,) = find_secrets(text)
    assert finding.kind == kind and text[finding.start : finding.end] == SECRETS[kind]
    clean, counts = redact(text)
    assert SECRETS[kind] not in clean and counts == {kind: 1}
    assert find_secrets(clean) == []  # nothing is replaced twice
    assert clean.count("\n") == text.count("\n")


@given(st.text(alphabet="aA1@.:-_=/'\" \n#%sk_eyJAKIA", max_size=300))
def test_any_text_is_taken(text):
    findings = find_secrets(text)
    ends = [0]
    for f in findings:
        assert ends[-1] <= f.start < f.end <= len(text)
        ends.append(f.end)
    assert isinstance(redact(text)[0], str)


def test_hostile_texts_take_no_time_to_speak_of():
    """Each would take minutes if a pattern looked back at every letter."""
    for text in (
        "a" * 300_000, "a@" * 100_000, "1." * 100_000, "password" * 10_000, "a:" * 100_000,
        "://" * 60_000, "-----BEGIN " * 20_000, "eyJ" * 60_000, "sk-" * 20_000,
        "key_" * 60_000, "a." * 100_000 + "@", "@" + "a-" * 100_000, "ab:" * 60_000,
        "token = " * 30_000, "-----BEGIN PRIVATE KEY-----" * 10_000,
    ):  # fmt: skip
        find_secrets(text)


def test_entropy_of_known_strings():
    assert entropy("aaaa") == 0 and entropy("abab") == 1 and entropy("abcdefgh") == 3
    assert looks_random(token(1, 24)) and not looks_random("tokenizer_for_the_text")
    assert not looks_random("1" * 20) and not looks_random("short1A")
    assert Finding("ip", 1, 2) == Finding("ip", 1, 2)
