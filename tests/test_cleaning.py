"""Filters, comments, encodings, licences, origins, tests that a document gives away."""

import ast
import codecs
import json
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st
from messy import program

from minilm.data import documents
from minilm.data.clean.comments import HASH, PYTHON, SLASHES, code_points, count_comments
from minilm.data.clean.contamination import RUN, TestSet, read_tests
from minilm.data.clean.decoding import decode_text
from minilm.data.clean.filters import basic_filters, comment_ratio, quality
from minilm.data.clean.licences import find_licence, is_permissive
from minilm.data.clean.limits import failed, limits, measure
from minilm.data.clean.origin import is_built, is_generated, is_vendored, language_of
from minilm.errors import InputError

LINE = "a" * 100


@given(st.text(alphabet="ab1. \n\r\t\x0b\x0c\x1c\x85\u2028é²\U0001f600\ud800", max_size=80))
def test_measures_equal_the_plain_formulas(text):
    found, plain = measure(text, "text"), quality(text)
    assert found["longest line"] == plain.longest_line
    assert found["mean line"] == pytest.approx(plain.mean_line)
    assert found["letters and digits"] == pytest.approx(plain.alphanumeric)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a" * 1000 + "\n" * 20, []),
        ("a" * 1001 + "\n" * 20, ["longest line"]),
        (f"{LINE}\n{LINE}", []),
        (f"{LINE}\n{LINE}a", ["mean line"]),
        ("ab......", []),
        ("ab.......", ["letters and digits"]),
        ("", ["letters and digits"]),
        ("a" * 1001, ["longest line", "mean line"]),
    ],
)
def test_the_edges_of_the_published_limits(text, expected):
    assert failed(measure(text, "text"), "text", limits()) == expected
    assert basic_filters(text) is (not expected)


def test_the_edges_of_comments_and_fertility():
    """1 and 80 characters of 100, and exactly 2.5 or 2.9 characters a token, pass."""
    for comment, language, passes in [
        ("#", "shell", True),
        ("", "shell", False),
        ("", "toml", True),
        ("//" + "c" * 78, "c", True),
        ("//" + "c" * 79, "c", False),
    ]:
        text = f"{comment}\n".ljust(100, "x")
        assert ("comments" not in failed(measure(text, language), language, limits())) is passes
    text = "# comment of a file\nx = 1\n" * 10  # 260 characters
    for language, tokens, passes in [
        ("python", 104, True), ("python", 105, False), ("java", 89, True), ("java", 90, False),
    ]:  # fmt: skip
        found = measure(text, language, lambda text, tokens=tokens: tokens)
        assert ("fertility" not in failed(found, language, limits())) is passes
    assert limits(mean_line=7)[1].high == 7 and limits(fertility=1)[4].low == 1
    assert limits(fertility=1)[4].by_language is None


def test_comments_of_python_are_those_of_its_own_tokenizer():
    """On every tenth file of the standard library, to the character."""
    for text in documents("python-code")[::10]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(text)
        assert count_comments(code_points(text), PYTHON) == round(comment_ratio(text) * len(text))


PIECES = st.sampled_from(
    ['"""doc"""', "'s'", '"#"', "# c\n", "\n", "x = ", "(", ")", "r'\\'", "b'x'", "f'y'", "rb''",
     "\\\n", "if x:\n    ", "pass\n", "'a\\'b'", "'''t\n'''", "1", " ", "u'z'", "é"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=14).map("".join))
def test_comments_of_any_valid_python(text):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(text)
    except (SyntaxError, ValueError):
        assert 0 <= count_comments(code_points(text), PYTHON) <= len(text)
        return
    expected = round(comment_ratio(text) * len(text))
    assert count_comments(code_points(text), PYTHON) == expected


def test_strings_in_brackets_are_no_docstrings():
    assert comment_ratio('x = [\n    "one",\n    "two",\n]\n') == 0
    assert count_comments(code_points('x = [\n    "one",\n    "two",\n]\n'), PYTHON) == 0
    assert comment_ratio("def f():\n    # why\n    'doc'\n") > 0.3


@pytest.mark.parametrize(
    ("text", "style", "expected"),
    [
        ("int x; // two\n", SLASHES, 6),
        ('s = "// no"; /* yes */', SLASHES, 9),
        ("/* a * b **/x", SLASHES, 12),
        ("/*/ still */x", SLASHES, 12),
        ("/* never ends", SLASHES, 13),
        ("c = '\"'; // x", SLASHES, 4),
        ("s = `a // b`", SLASHES, 0),
        ('s = "a\\" // b"', SLASHES, 0),
        ("a / b / c", SLASHES, 0),
        ("/", SLASHES, 0),
        ("# all\nx=1 # two", HASH, 10),
        ("x=${#a} '# no' a#b", HASH, 0),
        ("", HASH, 0),
    ],
)
def test_comments_of_other_languages(text, style, expected):
    assert count_comments(code_points(text), style) == expected


@pytest.mark.parametrize(
    ("content", "language", "expected"),
    [
        (b"a\r\nb\rc\n", None, ("a\nb\nc\n", "")),
        ("é".encode(), None, ("é", "")),
        (b"\xef\xbb\xbfx", None, ("x", "")),
        ("xé".encode("utf-16"), None, ("xé", "")),
        (codecs.BOM_UTF16_BE + "x".encode("utf-16-be"), None, ("x", "")),
        ("x".encode("utf-32"), None, ("x", "")),
        (b"# coding: latin-1\n\xe9", "python", ("# coding: latin-1\né", "")),
        (b"#!x\n# vim: set fileencoding=cp1252 :\n\x80", "python",
         ("#!x\n# vim: set fileencoding=cp1252 :\n€", "")),
        (b"x\n# coding: latin-1\n\xe9", "python", ("", "not UTF-8")),
        (b"# coding: latin-1\n\xe9", "c", ("", "not UTF-8")),
        (b"\xff\xfe\x00", None, ("", "not the encoding that it declares")),
        (b"# coding: ascii\n\xe9", "python", ("", "not the encoding that it declares")),
        (b"# coding: utf-7\n+2AA-", "python", ("", "not the encoding that it declares")),
        (b"# coding: hex\n", "python", ("", "declares an unknown encoding")),
        (b"# coding: klingon\n", "python", ("", "declares an unknown encoding")),
        (b"x\0y", None, ("", "binary")),
        ("a\0b".encode("utf-16"), None, ("", "binary")),
        (b"", None, ("", "empty")),
        (b" \n\t", None, ("", "empty")),
        (codecs.BOM_UTF16_LE + " ".encode("utf-16-le"), None, ("", "empty")),
    ],
)  # fmt: skip
def test_bytes_become_text_or_a_reason(content, language, expected):
    assert decode_text(content, language) == expected


@given(st.binary(max_size=200), st.sampled_from(["python", None]))
def test_any_bytes_are_taken(content, language):
    text, why = decode_text(content, language)
    assert bool(text) != bool(why)
    text.encode()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# SPDX-License-Identifier: MIT\n", "MIT"),
        ("/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */", "(GPL-2.0 OR MIT)"),
        ("<!-- SPDX-License-Identifier: Apache-2.0 -->", "Apache-2.0"),
        ("// Licensed under the Apache License, Version 2.0 (the ...", "Apache-2.0"),
        ("# Permission is hereby\n# granted, free of charge, to any", "MIT"),
        ("Redistribution and use in source and binary forms, with", "BSD-2-Clause"),
        ("Redistributions of source code must ... Neither the name of", "BSD-3-Clause"),
        (" * GNU Lesser General Public License", "LGPL"),
        (" * under the terms of the GNU General\n * Public License", "GPL"),
        ("GNU AFFERO GENERAL PUBLIC LICENSE", "AGPL-3.0"),
        ("PYTHON SOFTWARE FOUNDATION LICENSE VERSION 2 ... compatible with the GNU General Public "
         "License", "PSF-2.0"),
        ("Proprietary and confidential", "proprietary"),
        ("Released under the MIT licence.", "MIT"),
        ("Copyright 2024 by somebody. All rights reserved.", None),
        ("def mit(): apache = 2", None),
    ],
)  # fmt: skip
def test_licences(text, expected):
    assert find_licence(text) == expected


def test_expressions_of_licences():
    for permissive in ("MIT", "GPL-2.0 OR MIT", "(MIT AND BSD-3-Clause)", "Apache-2.0+",
                       "Apache-2.0 WITH LLVM-exception", "MIT or GPL-3.0"):  # fmt: skip
        assert is_permissive(permissive)
    for other in ("GPL-3.0", "MIT AND GPL-2.0", "LGPL OR GPL", "proprietary", ""):
        assert not is_permissive(other)


def test_origins():
    assert language_of("x.py") == "python" and language_of("x.CPP") == "c++"
    assert language_of("Makefile") == "makefile" and language_of("x") is None
    assert is_vendored("node_modules") and not is_vendored("nodes")
    assert is_built("__pycache__") and is_built("x.egg-info") and not is_built("builders")
    for name, text in [
        ("x_pb2.py", ""), ("jquery.min.js", ""), ("x.py", "# @generated by x\n"),
        ("x.py", "#!/x\n# This file is generated by y\n"), ("x.h", "/* Automatically generated */"),
        ("x.c", "/* Generated by re2c.  DO NOT EDIT. */"),
    ]:  # fmt: skip
        assert is_generated(name, text)
    assert not is_generated("x.py", "# 1\n# 2\n# 3\n# 4\n# 5\n# this file is generated\n")
    assert not is_generated("x.py", '"""A generator of edited files."""')


def test_a_run_of_words_gives_a_test_away_and_one_less_does_not():
    question = [f"word{i}" for i in range(40)]
    tests = TestSet(["nothing like it " * 5, " ".join(question)])
    assert tests.find("before " + ", ".join(question[10 : 10 + RUN]).upper() + " after")[0] == 1
    assert tests.find("before " + " ".join(question[10 : 9 + RUN]) + " after") is None
    assert tests.find("") is None
    assert TestSet([]).find("anything") is None


def test_a_short_test_is_found_as_a_whole():
    tests = TestSet(["Return the sum of\n  the two numbers.", "too short"])
    assert tests.count == 1
    assert tests.find('x\n    """return the sum of the   two numbers. Or not."""')[0] == 0
    assert tests.find("return the sum of the two number") is None
    for seed in range(20):
        assert tests.find(program(seed)) is None


@given(st.integers(0, 1000), st.integers(0, 39))
def test_a_planted_test_is_found_anywhere(seed, line):
    lines = program(seed % 30).split("\n")
    test = "Check whether every opened bracket of the given string is closed again"
    lines.insert(line, f"    '''{test}.'''")
    assert TestSet([test]).find("\n".join(lines))[0] == 0


def test_files_of_tests(tmp_path):
    (tmp_path / "a.jsonl").write_text(
        json.dumps({"prompt": "one two three four five", "n": [1, {"x": "six seven"}]}) + "\n\n"
    )
    (tmp_path / "b.json").write_text(json.dumps([["a b c d e f"], "short"]))
    (tmp_path / "c.txt").write_text("whatever it is")
    paths = [tmp_path / name for name in ("a.jsonl", "b.json", "c.txt")]
    assert read_tests(paths) == ["one two three four five", "a b c d e f", "whatever it is"]
    (tmp_path / "d.json").write_text("{")
    (tmp_path / "e.json").write_text('["x"]')
    (tmp_path / "f.txt").write_bytes(b"\xff")
    for name, said in [("d.json", "is not JSON"), ("e.json", "no text of five words"),
                       ("f.txt", "it is not UTF-8"), ("g", "No such file")]:  # fmt: skip
        with pytest.raises(InputError, match=said):
            read_tests([tmp_path / name])
