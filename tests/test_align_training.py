"""Learning to prefer: answers, rollouts, reward models, loops that are stopped and resumed."""

import copy
from functools import partial

import numpy as np
import pytest

from minilm import InputError, align
from minilm.align.answers import (
    Answers,
    answer_logp,
    check_answers,
    complete,
    known_logp,
    make_pairs,
    token_logp,
)
from minilm.align.pair_batches import rows_of
from minilm.align.ppo import Policing, advantages, token_rewards, train_ppo
from minilm.align.preferences import (
    label_pairs,
    train_kto,
    train_online,
    train_orpo,
    train_preferences,
)
from minilm.align.reward_model import RewardModel, accuracy_within_prompts, train_reward
from minilm.align.rollouts import RewardFailed, roll_out, score
from minilm.inference.written import Written
from minilm.models import Config, Transformer

CONFIG = Config(vocab_size=5, context=8, layers=1, heads=2, channels=16)
END = 4
QUIET = {"progress": False}


def model(seed=0):
    return Transformer(CONFIG, seed=seed)


def drawn(policy=None, n=32, seed=0):
    """Answers of up to 4 tokens to prompts of 2."""
    return roll_out(policy or model(), np.tile([0, 1], (n, 1)), 4, END, seed)


def some_pairs(n=64):
    first, second = drawn(n=n, seed=1), drawn(n=n, seed=2)
    ones = [(a.ids == 1).sum(1) for a in (first, second)]
    return label_pairs(first, second, ones[0] > ones[1], seed=0)


def count_ones(answers):
    """A reward: how often the answer says 1."""
    return ((answers.ids == 1) & answers.said).sum(1)


def asked(r):
    return np.tile([0, 1], (16, 1))


def weights(m):
    return {name: a.copy() for name, a in m.state_dict().items()}


# ---------------------------------------------------------------------------------- answers


def test_log_probabilities_of_an_answer_are_those_of_its_tokens_read_one_by_one():
    lm = model()
    answers = Answers(np.array([[0, 1, 2, 4, 4], [0, 3, 3, 3, 4]]), np.zeros((2, 5), bool))
    answers.said[0, 2:4] = answers.said[1, 1:5] = True
    expected = np.zeros((2, 4))
    for row in range(2):
        for t in range(1, 5):
            if answers.said[row, t]:
                z = lm(answers.ids[row : row + 1, :t]).data[0, -1].astype(np.float64)
                expected[row, t - 1] = z[answers.ids[row, t]] - np.log(np.exp(z).sum())
    np.testing.assert_allclose(token_logp(lm, answers).data, expected, atol=1e-5)
    np.testing.assert_allclose(known_logp(lm, answers), expected, atol=1e-5)
    np.testing.assert_allclose(answer_logp(lm, answers).data, expected.sum(1), atol=1e-5)


def test_prompts_of_any_length_are_completed_where_they_end():
    alive = np.array([[1, 1, 0], [1, 1, 1]], bool)
    written = Written(np.array([[3, 4, 0], [2, 2, 2]]), alive, None)
    made = complete([np.array([0]), np.array([0, 1, 1])], written, fill=4)
    assert made.ids.tolist() == [[0, 3, 4, 4, 4, 4], [0, 1, 1, 2, 2, 2]]
    assert made.said.astype(int).tolist() == [[0, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1]]
    assert made.lengths.tolist() == [2, 3]


def test_empty_answers_and_equal_pairs_are_refused_in_one_sentence():
    answers = drawn(n=4)
    empty = Answers(answers.ids, answers.said.copy())
    empty.said[2] = False
    with pytest.raises(InputError, match="^answer 2 is empty; every answer needs a token"):
        check_answers(empty)
    with pytest.raises(InputError, match="^pair 0 holds the same answer twice, and 3 more do"):
        make_pairs(answers, answers)
    with pytest.raises(InputError, match="all pairs hold the same answer twice"):
        label_pairs(answers, answers, np.ones(4), 0)
    different = Answers(answers.ids.copy(), answers.said)
    different.ids[:, 2] = (answers.ids[:, 2] + 1) % 4
    with pytest.raises(InputError, match="doubt is not from 0 to 1"):
        make_pairs(answers, different, doubt=1.5)


def test_labels_follow_the_judge_and_equal_answers_are_left_out():
    first, second = drawn(n=200, seed=1), drawn(n=200, seed=2)
    pairs = label_pairs(first, second, np.ones(200), 0)
    differ = ~((first.ids == second.ids) | ~(first.said | second.said)).all(1)
    assert len(pairs.better.ids) == differ.sum() < 200
    np.testing.assert_array_equal(pairs.better.ids, first.ids[differ])
    even = label_pairs(first, second, np.full(200, 0.5), 0)
    share = (even.better.ids == first.ids[differ]).all(1).mean()
    assert 0.3 < share < 0.8


def test_every_row_comes_once_in_each_pass_and_any_batch_is_found_again():
    which = rows_of(10, 4, seed=3)
    seen = np.concatenate([which(i) for i in range(5)])
    assert sorted(seen[:10]) == sorted(seen[10:]) == list(range(10))
    np.testing.assert_array_equal(rows_of(10, 4, seed=3)(3), which(3))
    np.testing.assert_array_equal(which(0), seen[:4])


# ------------------------------------------------------------------------------- advantages


def test_the_reward_stands_at_the_last_token_and_the_penalty_at_each():
    said = np.array([[0, 1, 1, 0], [1, 1, 1, 1]], bool)
    each = token_rewards(np.array([5.0, 7.0]), np.full((2, 4), 0.5), said)
    assert each.tolist() == [[0, -0.5, 4.5, 0], [-0.5, -0.5, -0.5, 6.5]]


def test_each_answer_is_compared_with_the_others_to_its_prompt():
    said = np.ones((4, 2), bool)
    how = Policing(values=False, samples=2, whitened=False)
    gain, _ = advantages(np.array([1.0, 3.0, 10.0, 10.0]), np.zeros((4, 2)), said, None, how)
    assert gain.tolist() == [[-2, -2], [2, 2], [0, 0], [0, 0]]


def test_with_lambda_1_an_advantage_is_what_was_earned_less_the_value():
    said = np.array([[0, 1, 1, 1, 0]], bool)
    penalty, values = np.full((1, 5), 0.25), np.array([[9.0, 0.5, 0.4, 0.3, 9.0]])
    how = Policing(smoothing=1.0, whitened=False)
    gain, returns = advantages(np.array([2.0]), penalty, said, values, how)
    np.testing.assert_allclose(gain, [[0, 1.25 - 0.5, 1.5 - 0.4, 1.75 - 0.3, 0]])
    np.testing.assert_allclose(returns[said], [1.25, 1.5, 1.75])


# ------------------------------------------------------------------------------ reward model


def test_a_reward_model_learns_which_answers_are_preferred():
    lm, pairs = model(), some_pairs(200)
    judge = RewardModel(lm)
    before = weights(lm)
    train_reward(judge, pairs, 60, batch=32, lr=1e-2, **QUIET)
    answers = drawn(n=200, seed=9)
    right = accuracy_within_prompts(judge.reward(answers), count_ones(answers), np.zeros(200))
    assert right > 0.9
    assert all((before[n] == a).all() for n, a in lm.state_dict().items())  # it has a copy
    judge.calibrate(answers)
    r = judge.reward(answers)
    assert abs(r.mean()) < 1e-5 and abs(r.std() - 1) < 1e-5
    other = RewardModel(lm)
    other.load_state_dict(judge.state_dict())
    np.testing.assert_array_equal(other.reward(answers), r)  # its unit is saved with it


def test_accuracy_counts_pairs_within_prompts_only():
    scores, gold = np.array([1.0, 2, 30, 20]), np.array([0.0, 1, 0, 1])
    assert accuracy_within_prompts(scores, gold, np.array([0, 0, 1, 1])) == 0.5
    assert accuracy_within_prompts(np.zeros(4), gold, np.array([0, 0, 1, 1])) == 0.5
    with pytest.raises(InputError, match="differ in gold reward"):
        accuracy_within_prompts(scores, np.zeros(4), np.zeros(4))


# ------------------------------------------------------------------------------------- loops


@pytest.mark.parametrize(
    "loss", [align.dpo_loss, partial(align.dpo_loss, smoothing=0.1), align.ipo_loss]
)
def test_pairs_move_the_policy_towards_what_is_preferred(loss):
    ref = model()
    policy, pairs = copy.deepcopy(ref), some_pairs()
    train_preferences(policy, ref, pairs, 30, loss, lr=3e-3, batch=32, **QUIET)

    def gap(m):
        return (known_logp(m, pairs.better) - known_logp(m, pairs.worse)).sum(1).mean()

    assert gap(policy) > gap(ref) + 0.5


def test_a_doubted_label_is_worth_less():
    """Of labels that are right or wrong with the same probability, nothing is learnt.

    But for rounding: the gradient is 0 only as far as policy and reference agree to the last bit,
    and Adam's steps do not depend on its size.
    """
    ref, pairs = model(), some_pairs()
    even = make_pairs(pairs.better, pairs.worse, doubt=0.5)
    moved = []
    for given in (even, pairs):
        policy = copy.deepcopy(ref)
        train_preferences(policy, ref, given, 20, lr=3e-3, batch=32, **QUIET)
        gap = [known_logp(m, pairs.better) - known_logp(m, pairs.worse) for m in (policy, ref)]
        moved.append(abs(gap[0].sum(1).mean() - gap[1].sum(1).mean()))
    assert moved[0] < moved[1] / 10


def test_orpo_and_kto_need_no_pairs_of_references():
    ref, pairs = model(), some_pairs()
    single = copy.deepcopy(ref)
    train_orpo(single, pairs, 30, lr=3e-3, batch=32, **QUIET)
    assert known_logp(single, pairs.better).sum() > known_logp(ref, pairs.better).sum()
    answers = drawn(n=200, seed=5)
    good = count_ones(answers) >= 1
    policy = copy.deepcopy(ref)
    train_kto(policy, ref, answers, good, 40, lr=3e-3, batch=32, **QUIET)
    gained = (known_logp(policy, answers) - known_logp(ref, answers)).sum(1)
    assert gained[good].mean() > gained[~good].mean() + 0.3


def test_the_reference_must_be_another_model():
    lm = model()
    with pytest.raises(InputError, match="ref is the policy itself"):
        train_preferences(lm, lm, some_pairs(), 1, **QUIET)
    with pytest.raises(InputError, match="ref is the policy itself"):
        train_ppo(lm, lm, count_ones, asked, 4, 1, **QUIET)


WAYS = {
    "ppo": Policing(beta=0.05),
    "leave one out": Policing(beta=0.05, values=False, samples=4),
    "not clipped, divergence in the loss": Policing(beta=0.05, clip=None, in_reward=False),
}


@pytest.mark.parametrize("how", WAYS.values(), ids=WAYS)
def test_a_reward_is_earned(how):
    ref = model()
    policy, seen = copy.deepcopy(ref), []
    given = dict(how=how, lr=1e-2, watch=lambda number, facts: seen.append(facts), **QUIET)
    train_ppo(policy, ref, count_ones, asked, 4, 15, END, **given)
    assert seen[-1]["reward"] > seen[0]["reward"] + 0.5
    assert seen[0]["divergence"] == 0 < seen[-1]["divergence"]


def test_dpo_on_ones_own_answers_earns_too():
    ref = model()
    policy = copy.deepcopy(ref)
    train_online(policy, ref, count_ones, asked, 4, 40, END, lr=1e-2, **QUIET)
    assert count_ones(drawn(policy, 200)).mean() > count_ones(drawn(ref, 200)).mean() + 0.5


def test_a_stopped_run_goes_on_bit_for_bit(tmp_path):
    ref = model()

    def run(policy, rounds, **settings):
        how = Policing(epochs=2, minibatches=2)
        given = dict(how=how, lr=1e-2, schedule=lambda step: 1.0, **QUIET, **settings)
        return train_ppo(policy, ref, count_ones, asked, 4, rounds, END, **given)

    straight, halves, other = (copy.deepcopy(ref) for _ in range(3))
    whole = run(straight, 6)
    run(halves, 3, out=tmp_path / "run")
    resumed = run(other, 6, out=tmp_path / "run", resume=True)
    assert resumed.losses == whole.losses
    for name, array in weights(straight).items():
        np.testing.assert_array_equal(array, other.state_dict()[name], err_msg=name)


class Moody:
    """A reward that fails in its n-th call."""

    def __init__(self, n, how):
        self.left, self.how = n, how

    def __call__(self, answers):
        self.left -= 1
        return count_ones(answers) if self.left >= 0 else self.how(answers)


def angry(answers):
    raise ValueError("no electricity")


FAILURES = {
    "it raises": (angry, "the reward function raised ValueError: no electricity"),
    "nan": (lambda a: np.full(len(a.ids), np.nan), "the reward of answer 0 is nan; it must be"),
    "too few": (lambda a: [1.0], r"the reward has shape \(1,\); it must have one number"),
}


@pytest.mark.parametrize(("how", "words"), FAILURES.values(), ids=FAILURES)
def test_a_reward_that_fails_loses_nothing(how, words, tmp_path):
    ref = model()

    def run(policy, reward, **settings):
        given = dict(lr=1e-2, schedule=lambda step: 1.0, **QUIET, **settings)
        return train_ppo(policy, ref, reward, asked, 4, 4, END, **given)

    straight = copy.deepcopy(ref)
    whole = run(straight, count_ones)
    policy, other = copy.deepcopy(ref), copy.deepcopy(ref)
    with pytest.raises(RewardFailed, match=words + ".* training stopped at step 9, and every"):
        run(policy, Moody(2, how), out=tmp_path / "run")
    resumed = run(other, count_ones, out=tmp_path / "run", resume=True)
    assert resumed.losses == whole.losses
    for name, array in weights(straight).items():
        np.testing.assert_array_equal(array, other.state_dict()[name], err_msg=name)


def test_a_reward_that_fails_at_once_says_so():
    ref = model()
    with pytest.raises(RewardFailed, match="no electricity; training stopped at step 1$"):
        train_ppo(copy.deepcopy(ref), ref, angry, asked, 4, 2, END, **QUIET)


def test_a_prompt_without_room_is_refused():
    with pytest.raises(InputError, match="together they must fit into the model's context of 8"):
        roll_out(model(), np.zeros((2, 6), int), 4, END)


def test_rewards_are_read_as_they_are():
    answers = drawn(n=3)
    np.testing.assert_array_equal(score(lambda a: [1, 2, 3], answers), [1, 2, 3])
