"""Lesson 07a: its world and its oracle, its studies on a very small scale, its verdicts' rules."""

from pathlib import Path

import numpy as np
import pytest

from minilm.analysis.accounting import forward_flops
from minilm.analysis.scaling import Interval
from minilm.course.places import LessonFolder
from minilm.errors import InputError
from minilm.models import Transformer
from minilm.nn.positions import rope_frequencies
from minilm.studies import record
from minilm.studies.recorded import Recorded
from minilm.tensor import no_grad

LESSON = LessonFolder(Path(__file__).parents[1], "07a_history")
texts, objectives, exams = (LESSON.module(n) for n in ("texts", "objectives", "exams"))
board, norms, verdicts = (LESSON.module(n) for n in ("board", "norms", "verdicts"))


def quiet(line):
    """Say nothing."""


def sentences_of(words):
    ends = np.flatnonzero(words == texts.WORLD.END)
    return [words[a + 1 : b + 1] for a, b in zip(ends[:-1], ends[1:])]


# --------------------------------------------------------------------------------- the oracle


def test_every_sentence_of_the_world_is_right():
    found = sentences_of(texts.stream(8000, 3))
    assert len(found) > 500 and all(texts.is_sentence(s) for s in found)
    assert max(map(len, found)) == texts.LONGEST


def test_a_changed_word_is_found():
    """Nearly always: some changes give what another draw would have given."""
    r, caught, n = np.random.default_rng(0), 0, 0
    for s in sentences_of(texts.stream(6000, 4)):
        changed = s.copy()
        at = int(r.integers(len(s)))
        changed[at] = (changed[at] + r.integers(1, texts.WORDS)) % texts.WORDS
        caught += not texts.is_sentence(changed)
        n += 1
    assert caught / n > 0.9


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("the keys near the box are pretty .", True),
        ("the keys near the box is pretty .", False),
        ("the keys are pretty", False),
        ("the keys the box are pretty .", False),
        ("list apple pear lemon .", False),  # six words of four groups: lemon is not among them?
        ("list apple pear cherry .", True),
        ("list apple pear apple .", False),
        ("list apple pear horse .", False),
        ("translate pretty apple => manzana bonita .", True),
        ("translate pretty apple => bonita manzana .", False),
        ("translate pretty apple => pera bonita .", False),
        ("review pretty pretty ugly ugly kind verdict good .", True),
        ("review pretty pretty ugly ugly kind verdict bad .", False),
        ("review pretty ugly kind verdict good .", False),
        (".", False),
        ("", False),
    ],
)
def test_the_oracle_on_sentences_written_by_hand(text, right):
    if "lemon" in text:
        right = bool((texts.WORLD.nouns[0] == texts.WORLD.encode("lemon")[0]).any())
    assert texts.is_sentence(texts.WORLD.encode(text) if text else []) == right


def test_holes_hold_the_right_word_and_rules_decide_it():
    for h in texts.holes(30):
        hidden = h.ids[:, h.place]
        assert (h.candidates == hidden[:, None]).sum(1).tolist() == [1] * 30
        for row, words in zip(h.ids, h.candidates):
            ends = np.flatnonzero(row == texts.WORLD.END)
            first, last = ends[ends < h.place].max() + 1, ends[ends >= h.place].min() + 1
            able = 0
            for word in words:
                filled = row.copy()
                filled[h.place] = word
                able += texts.is_sentence(filled[first:last])
            assert able == 1, h.name


def test_judged_sentences_are_right_where_they_say_so():
    for j in texts.judged(60):
        told = [texts.is_sentence(row[j.sentence]) for row in j.ids]
        assert told == j.right.tolist() and 10 < sum(told) < 50


def test_beginnings_end_with_a_full_stop():
    b = texts.beginnings(40)
    assert (b.prompt[:, -1] == texts.WORLD.END).all()
    assert b.prompt.shape == (40, 16) and b.rest.shape == (40, 16)
    assert exams.share_of_sentences(b.rest) == 1.0


# ------------------------------------------------------------------------------ how it is asked


@pytest.mark.parametrize("name", objectives.OBJECTIVES)
def test_every_objective_can_be_trained_and_asked(name):
    learner = objectives.Learner(name, 0)
    rows, r = objectives.draws(2)(0, 1)
    assert rows.shape == (objectives.BATCH, texts.WINDOW)
    loss = learner.loss(rows, r)
    loss.backward()
    assert abs(loss.item() - np.log(texts.VOCABULARY)) < 1.5
    assert all(p.grad is not None for p in learner.parameters())
    found = exams.sit(name, learner.model, 0, count=8)
    assert set(found) == {"holes", "sure", "judged", "nats", "sentences"}
    assert found["nats"] > 3 and found["sentences"] < 0.5


def test_bets_are_one_chain_of_probabilities():
    """What a decoder pays word by word is what its loss says, once its own marks are left out."""
    model = objectives.Learner("GPT", 1).model
    b = texts.beginnings(4)
    told = exams.paid("GPT", model, b.prompt, b.rest)
    rows = np.concatenate([b.prompt, b.rest], axis=1)
    with no_grad():
        z = model(rows[:, :-1]).numpy()[:, 15:, : texts.WORDS]
    p = objectives.log_softmax(z)
    wanted = -np.take_along_axis(p, b.rest[..., None], 2).mean()
    assert told == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("name", ["GPT", "GLM", "T5"])
def test_fillings_are_what_the_objective_pays(name):
    """The weights of two candidates differ by what the loss of the two texts differs by."""
    model = objectives.Learner(name, 2).model
    ids, place = texts.holes(3)[0].ids[:1], 17
    words = np.array([[40, 41]])
    weights = objectives.fillings(name, model, ids, place, words)[0]
    paid = []
    for word in words[0]:
        row = ids[0].copy()
        row[place] = word
        if name == "GPT":
            loss = model.loss(row[None, :-1], row[None, 1:], reduction="none").data.sum()
        elif name == "GLM":
            made = objectives.blank_out(row, [(place, place + 1)], **objectives.SPECIAL)
            loss = (
                2
                * model.loss(
                    made.inputs[None],
                    made.targets[None],
                    positions=made.positions,
                    prefix=made.prefix,
                ).item()
            )
        else:
            made = objectives.corrupt_spans(
                row, [(place, place + 1)], sentinels=texts.SENTINELS, start_id=texts.START
            )
            loss = model.loss(
                made.source[None], made.fed[None], made.targets[None], reduction="none"
            ).data.sum()  # fmt: skip
        paid.append(float(loss))
    assert weights[0] - weights[1] == pytest.approx(paid[1] - paid[0], abs=2e-4)


def test_glm_writes_with_the_places_it_learnt():
    row = texts.stream(32, 8)
    made = objectives.blank_out(row, [(16, 32)], **objectives.SPECIAL)
    np.testing.assert_array_equal(objectives.places(17, len(made.inputs), 17), made.positions)
    made = objectives.blank_out(row, [(9, 10)], **objectives.SPECIAL)
    np.testing.assert_array_equal(objectives.places(32, 34, 10), made.positions)


def test_counting_is_a_yardstick_and_not_a_model():
    yard = exams.counted(40)
    assert yard["nats"] > exams.floor() and 0 <= yard["sentences"] < 0.9
    assert yard["holes"]["translation"] < 0.5  # neighbours say nothing of what a word means


# ----------------------------------------------------------------------------------- the board


def test_every_row_of_the_board_does_the_same_work():
    base = board.flops(board.base())
    for name, changes in board.CHANGES.items():
        config = board.variant(**changes)
        one = forward_flops(config.replace(ff=config.F + 1), board.CONTEXT).total - board.flops(
            config
        )
        assert abs(board.flops(config) - base) <= one / 2 + 1, name
        for field, value in changes.items():
            assert getattr(config, field) == value


def test_the_llama_is_a_llama():
    c = board.base()
    assert (c.norm, c.norm_position, c.positions, c.activation) == ("rms", "pre", "rope", "swiglu")
    assert c.G == 1 and not c.bias and c.experts is None
    assert board.variant() == c


def test_a_change_that_costs_too_much_is_refused():
    with pytest.raises(InputError, match="give ff"):
        board.variant(head_size=200)
    with pytest.raises(InputError, match="norm_position"):
        board.variant(norm_position="sideways")


def test_norms_and_gradients_have_the_shapes_they_say():
    pre, post = (norms.gradients(p, 3, 0) for p in ("pre", "post"))
    assert pre.shape == post.shape == (3,) and (pre > 0).all() and (post > 0).all()
    model = norms.xavier(Transformer(norms.config_of("post", 2), 0), 0)
    weight = model.blocks[0].feed_forward.up.weight.data
    assert weight.std() == pytest.approx((2 / sum(weight.shape)) ** 0.5, rel=0.1)


# --------------------------------------------------------------------------------- RoPE's numbers


def test_the_numbers_of_rotary_positions():
    """At D = 128: 1, 0.8659643, ..., 1.154782e-4, which is a turn of 54,410 places."""
    theta, factor = rope_frequencies(128, 10000.0)
    assert factor == 1.0 and theta.shape == (64,)
    assert theta[0] == 1.0
    assert theta[1] == pytest.approx(0.8659643, abs=5e-8)
    assert theta[63] == pytest.approx(1.154782e-4, abs=5e-11)
    assert 2 * np.pi / theta[63] == pytest.approx(54410, abs=1)
    assert 2 * np.pi / rope_frequencies(128, 1e6)[0][63] == pytest.approx(5.06e6, rel=1e-3)
    i = np.arange(64)
    np.testing.assert_allclose(theta, np.exp(-2 * i / 128 * np.log(1e4)), rtol=1e-13)


# ----------------------------------------------------------------------------------- the studies


def test_objectives_are_recorded(tmp_path):
    out = tmp_path / "objectives.json"
    study = LESSON.study("objectives")
    how = {"models": ("GLM",), "seeds": (0, 1, 2), "steps": 8, "tune_steps": 5, "count": 6}
    made = study.study(str(out), say=quiet, **how)
    assert len(made["runs"]) == 3 and made["missing"] == []
    kept = Recorded(out)
    assert kept.keys == ("model",) and [p["step"] for p in kept.run("GLM", 1)["points"]] == [2, 8]
    again = record.load(out)["runs"]
    assert study.study(str(out), say=quiet, **how)["runs"] == again  # nothing is run twice
    for what, numbers in verdicts.scores(kept, "GLM").items():
        assert len(numbers) == 3, what


def test_the_board_is_recorded(tmp_path):
    out = tmp_path / "board.json"
    study = LESSON.study("board")
    how = {"models": ("Llama", "with experts"), "seeds": (0,), "steps": 6, "tune_steps": 5}
    made = study.study(str(out), say=quiet, **how)
    assert [run["model"] for run in made["runs"]] == ["Llama", "with experts"]
    assert made["runs"][0]["points"][-1]["step"] == 6
    row = board.ablate("mine", steps=3, norm="layer")
    assert row["loss"] < np.log(512) + 0.5 and abs(row["work"] - 1) < 0.01


def test_norms_are_recorded(tmp_path):
    out = tmp_path / "norms.json"
    how = {"models": ("pre", "post, warmed"), "seeds": (0,), "steps": 3, "layers": 2}
    made = LESSON.study("norms").study(str(out), say=quiet, **how)
    losses = [p["loss"] for run in made["runs"] for p in run["points"]]
    assert len(losses) == 8 and max(losses) <= np.log(512) + 1e-9


def test_matched_sizes_are_recorded(tmp_path):
    out = tmp_path / "matched.json"
    made = LESSON.study("matched").study(
        str(out), sizes=("2x32",), seeds=(3,), share=0.02, prompts=8, say=quiet
    )
    assert set(made["runs"][0]["points"][0]["right"]) == set(verdicts.TASKS)


# ----------------------------------------------------------------------------- the verdicts


def test_the_rule_of_matched_losses():
    point = Interval(0.01, 0.06, 0.11)
    assert verdicts.differ({"a": point}) == ["a"]
    assert verdicts.differ({"a": Interval(-0.01, 0.06, 0.13)}) == []  # the interval holds 0
    assert verdicts.differ({"a": Interval(0.01, 0.04, 0.07)}) == []  # too small
    assert verdicts.differ({"a": Interval(-0.2, -0.1, -0.05)}) == ["a"]


def test_what_a_linear_judge_can_and_cannot_tell():
    r = np.random.default_rng(0)
    x = r.normal(size=(400, 5))
    assert exams.separable(x, x[:, 0] > 0) > 0.9
    assert abs(exams.separable(x, r.random(400) < 0.5) - 0.5) < 0.15
