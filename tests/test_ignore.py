"""Rules of `.gitignore`: examples of gitignore(5), and git itself on random rules."""

import random
import re
import shutil
import subprocess

import pytest

from minilm.data.clean.ignore import is_ignored, parse_rules


def ignored(text, path, folder=False, place=""):
    return is_ignored([(place, parse_rules(text))], path, folder)


@pytest.mark.parametrize(
    ("rules", "path", "expected"),
    [
        ("*.o", "a/b/x.o", True),
        ("*.o", "x.ob", False),
        ("hello.*", "a/hello.c", True),
        ("/hello.*", "a/hello.c", False),
        ("/hello.*", "hello.c", True),
        ("foo/*", "foo/test.json", True),
        ("foo/*", "foo/bar/hello.c", False),
        ("doc/frotz", "a/doc/frotz", False),
        ("**/foo/bar", "x/y/foo/bar", True),
        ("**/foo", "foo", True),
        ("abc/**", "abc/x/y", True),
        ("abc/**", "abc", False),
        ("a/**/b", "a/b", True),
        ("a/**/b", "a/x/y/b", True),
        ("a**b", "a/b", False),
        ("a**b", "axxb", True),
        ("# no rule", "# no rule", False),
        (r"\#file", "#file", True),
        (r"\!keep", "!keep", True),
        ("*.log\n!keep.log", "keep.log", False),
        ("!keep.log\n*.log", "keep.log", True),
        ("name  ", "name", True),
        ("name\\ ", "name ", True),
        ("[a-c].txt", "b.txt", True),
        ("[!a-c].txt", "b.txt", False),
        ("[^a-c].txt", "d.txt", True),
        ("[]-]x", "]x", True),
        ("[[:digit:]]x", "7x", True),
        ("[a", "[a", False),
        ("?", "/", False),
        ("a?c", "abc", True),
        ("a\\*c", "abc", False),
        ("a\\*c", "a*c", True),
        ("x.y", "xzy", False),
        ("trailing\\", "trailing", False),
        ("\ufeffmark", "mark", True),
        ("crlf\r\nother", "crlf", True),
        ("", "", False),
        ("/", "a", False),
    ],
)
def test_the_rules_of_the_manual(rules, path, expected):
    assert ignored(rules, path) is expected


def test_a_slash_at_the_end_means_folders():
    assert ignored("build/", "build", folder=True) and not ignored("build/", "build")
    assert ignored("build/", "a/build", folder=True)
    assert not ignored("a/build/", "b/a/build", folder=True)


def test_rules_hold_below_their_own_folder_and_inner_ones_win():
    rules = [("", parse_rules("*.txt")), ("a/b", parse_rules("!x.txt\n/only.md"))]
    assert is_ignored(rules, "x.txt", False) and is_ignored(rules, "a/x.txt", False)
    assert not is_ignored(rules, "a/b/x.txt", False) and not is_ignored(rules, "a/b/c/x.txt", False)
    assert is_ignored(rules, "a/b/only.md", False) and not is_ignored(rules, "a/only.md", False)
    assert is_ignored(rules, "a/bc/x.txt", False)


BITS = [
    "a",
    "b",
    "ab",
    "*",
    "?",
    "**",
    "/",
    "**/",
    "/**",
    "[ab]",
    "[!a]",
    "!",
    "a*",
    "*b",
    ".",
    "\\a",
]


@pytest.mark.skipif(shutil.which("git") is None, reason="compares with git")
@pytest.mark.parametrize("seed", range(4))
def test_random_rules_ignore_what_git_ignores(tmp_path, seed):
    rng = random.Random(seed)
    names = ["a", "b", "ab", "ba", "a.b", "c", "!a", "aab"]
    paths = sorted({"/".join(rng.choices(names, k=rng.randint(1, 4))) for _ in range(120)})
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    for _ in range(60):
        text = "\n".join("".join(rng.choices(BITS, k=rng.randint(1, 4))) for _ in range(3))
        if re.search(r"[^/\n]\*\*|\*\*[^/\n]", text):
            continue  # "regular asterisks", says the manual; git's own code takes them otherwise
        (tmp_path / ".gitignore").write_text(text)
        done = subprocess.run(
            ["git", "-C", tmp_path, "-c", "core.excludesFile=", "check-ignore", "--no-index",
             "--stdin"], input="\n".join(paths), capture_output=True, text=True,
        )  # fmt: skip
        theirs = set(done.stdout.splitlines())
        rules = [("", parse_rules(text))]
        ours = set()
        for path in paths:
            parts = path.split("/")
            above = ("/".join(parts[:k]) for k in range(1, len(parts)))
            if any(is_ignored(rules, folder, True) for folder in above):
                ours.add(path)
            elif is_ignored(rules, path, False):
                ours.add(path)
        assert ours == theirs, (text, sorted(ours ^ theirs))
