"""A model's programs: written for prompts, cut where the function ends, judged once each."""

import numpy as np
import pytest

from minilm.data.worlds.katas import katas
from minilm.errors import InputError
from minilm.inference.solving import _body, judge, write_programs
from minilm.models import Config, Transformer
from minilm.sandbox.programs import Programs
from minilm.tokenizers import train_bpe

SOME = katas(6, seed=0)


@pytest.fixture(scope="module")
def small():
    tokenizer = train_bpe([one.text for one in SOME], 280, special=["<|endoftext|>"])
    config = Config(vocab_size=280, context=160, layers=1, heads=1, channels=8)
    return Transformer(config, seed=0), tokenizer


def test_programs_come_by_prompt_and_begin_with_it(small):
    prompts = [one.prompt for one in SOME]
    found = write_programs(*small, prompts, samples=3, temperature=1.0, tokens=8)
    assert [len(row) for row in found] == [3] * 6
    assert all(text.startswith(p) for p, row in zip(prompts, found) for text in row)
    again = write_programs(*small, prompts, samples=3, temperature=1.0, tokens=8)
    assert again == found
    assert write_programs(*small, prompts, 3, 1.0, 8, seed=1) != found
    greedy = write_programs(*small, prompts[:1], samples=2, temperature=0, tokens=8)
    assert greedy[0][0] == greedy[0][1]


def test_a_program_ends_where_its_function_does():
    assert _body("    x = 1\n    return x\ndef g():\n    pass\n") == "    x = 1\n    return x\n"
    assert _body("    x = 1\n\n    return x\n") == "    x = 1\n\n    return x\n"
    assert _body("x = 1\n") == "" and _body("") == ""


def test_right_programs_pass_and_equal_ones_run_once():
    told: list[int] = []
    written = [[one.text, one.prompt + "    return 'no'\n", one.text] for one in SOME]
    with Programs(places=2) as programs:
        passed = judge(SOME, written, programs, told=lambda: told.append(1))
    np.testing.assert_array_equal(passed, [[True, False, True]] * 6)
    assert len(told) == 12


def test_what_cannot_be_written_is_refused(small):
    with pytest.raises(InputError, match="prompts is empty"):
        write_programs(*small, [])
    with pytest.raises(InputError, match="samples is 0"):
        write_programs(*small, ["a"], samples=0)
