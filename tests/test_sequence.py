"""Text and picture in one sequence, CogLM's masks, and the loops that write."""

import numpy as np
import pytest

from minilm import InputError
from minilm.backend import IGNORE
from minilm.models import Config, Transformer
from minilm.nn import masks
from minilm.tensor import no_grad
from minilm.train import train
from minilm.vision import coglm
from minilm.vision.coglm import coglm_mask, hide, masked, popcount
from minilm.vision.sequence import Layout, grey_levels, next_token, of_grey_levels, pick, write

LAYOUT = Layout(codes=8, words=5, text=3, picture=4)


def rng(seed=0):
    return np.random.default_rng(seed)


def rows(count, seed=0, layout=LAYOUT):
    random = rng(seed)
    words = random.integers(0, layout.words, (count, layout.text))
    return layout.rows(words, random.integers(0, layout.codes, (count, layout.picture)))


def model(kind="encoder", layout=LAYOUT, seed=0, **changes):
    fields = {"layers": 2, "heads": 2, "channels": 16, "init_std": 0.3, "tie": False, **changes}
    config = Config(layout.vocabulary, layout.length, kind=kind, **fields)
    return Transformer(config, seed=seed, dtype=np.float64)


# --- layout -------------------------------------------------------------------------------------


def test_cogview_has_1089_tokens():
    """64 of text, 32 x 32 of picture, one to begin with (arXiv 2105.13290)."""
    layout = Layout(codes=8192, words=50_000, text=64, picture=1024)
    assert layout.length == 1089 and layout.vocabulary == 58_193


def test_igpt_counts():
    """32 x 32 positions of 512 colours; 12 L d^2 weights of its three sizes (Chen et al. 2020)."""
    assert Layout(512, 0, 0, 32 * 32).length == 1025
    counted = [
        12 * layers * width**2 / 1e6 for width, layers in ((512, 24), (1024, 36), (1536, 48))
    ]
    assert counted == pytest.approx([75.5, 453.0, 1359.0], abs=0.1)
    assert np.log(512) == pytest.approx(6.2383, abs=5e-5)


def test_what_tokens_save():
    """256 pixels a side: 256 tokens of 10 bits, or 1024 of 13, against 24 bits a pixel."""
    raw = 256 * 256 * 24
    assert raw == 1_572_864 and 256 * 10 == 2560
    assert raw / 2560 == pytest.approx(614.4) and raw / (1024 * 13) == pytest.approx(
        118.15, abs=0.01
    )


def test_a_sequence_is_start_text_picture():
    made = LAYOUT.rows(np.array([[4, 0, 1]]), np.array([[7, 0, 3, 3]]))
    assert made.tolist() == [[13, 12, 8, 9, 7, 0, 3, 3]] and made.dtype == np.int64
    assert made[:, LAYOUT.of_text].tolist() == [[12, 8, 9]]
    assert made[:, LAYOUT.of_picture].tolist() == [[7, 0, 3, 3]]
    first, end = LAYOUT.allowed()
    assert ((first <= made) & (made < end)).all()
    assert (end - first).tolist() == [1, 5, 5, 5, 8, 8, 8, 8]


def test_next_token_scores_only_what_is_asked():
    ids, targets = next_token(rows(2), LAYOUT.of_picture)
    assert ids.shape == targets.shape == (2, 7)
    assert (targets[:, :3] == IGNORE).all() and (targets[:, 3:] == rows(2)[:, 4:]).all()


# --- masks --------------------------------------------------------------------------------------


def by_hand(hidden):
    t = len(hidden)
    seen = np.zeros((t, t), bool)
    for i in range(t):
        for j in range(t):
            seen[i, j] = (not hidden[j]) or (hidden[i] and j <= i)
    return seen


@pytest.mark.parametrize("kind", coglm.KINDS)
@pytest.mark.parametrize("layout", [LAYOUT, Layout(4, 3, 6, 9), Layout(4, 3, 1, 16)])
def test_three_kinds_by_exact_count(kind, layout):
    hidden = hide(kind, layout, 3, rng())
    m = {"draw": layout.picture, "tell": layout.text, "fill": round(layout.picture / 2)}[kind]
    assert (hidden.sum(1) == m).all()
    for one, mask in zip(hidden, coglm_mask(hidden)):
        assert np.array_equal(mask, by_hand(one))
        assert mask.sum() == popcount(layout.length - m, m)
    if kind == "draw":  # a prefix of start and text, then a causal picture
        assert np.array_equal(mask, masks.prefix(layout.length, 1 + layout.text))


def test_all_hidden_but_the_first_is_causal_and_nothing_hidden_sees_everything():
    hidden = np.arange(6) > 0
    assert np.array_equal(coglm_mask(hidden), masks.causal(6))
    assert coglm_mask(np.zeros(6, bool)).all()


@pytest.mark.parametrize("kind", coglm.KINDS)
def test_no_target_sees_itself(kind):
    """In the real model: another token in a hidden place moves no logits that predict it."""
    given, net = rows(1), model()
    hidden = hide(kind, LAYOUT, 1, rng(1))
    before = net(masked(given, hidden).ids, mask=masked(given, hidden).mask).data
    for place in np.flatnonzero(hidden[0]):
        other = given.copy()
        other[0, place] = (other[0, place] + 1) % 8
        batch = masked(other, hidden)
        after = net(batch.ids, mask=batch.mask).data
        predicts = [at - 1 for at in np.flatnonzero(hidden[0]) if at <= place]
        assert np.array_equal(after[0, predicts], before[0, predicts])
        if place < len(batch.ids[0]):
            assert not np.allclose(after[0, place], before[0, place])


def test_shown_tokens_are_seen_in_both_directions():
    given, net = rows(1), model()
    hidden = np.zeros((1, 8), bool)
    hidden[0, 2] = True
    batch = masked(given, hidden)
    other = given.copy()
    other[0, 6] = (other[0, 6] + 1) % 8
    again = masked(other, hidden)
    assert (batch.targets != IGNORE).sum() == 1 == coglm.scored(batch)
    one, two = (net(b.ids, mask=b.mask).data[0, 1] for b in (batch, again))
    assert not np.allclose(one, two)


# --- a mask of one's own in the Transformer -----------------------------------------------------


def test_a_mask_takes_the_place_of_the_kind():
    given = rows(3)
    for kind, mask in (("decoder", masks.causal(8)), ("encoder", masks.bidirectional(8))):
        plain, other = model(kind), model("decoder" if kind == "encoder" else "encoder")
        assert np.allclose(plain(given).data, other(given, mask=mask).data, atol=1e-12)
    prefix = model("prefix-lm")(given, prefix=4).data
    each = np.broadcast_to(masks.prefix(8, 4), (3, 8, 8))
    assert np.allclose(model()(given, mask=each).data, prefix, atol=1e-12)
    valid = np.ones((3, 8), bool)
    valid[0, :2] = False
    seen = model()(given, mask=masks.bidirectional(8), valid=valid).data
    assert np.allclose(seen, model()(given, valid=valid).data, atol=1e-12)


# --- writing ------------------------------------------------------------------------------------


def test_pick_is_the_largest_or_a_draw_by_probability():
    logits = np.log(np.tile([[0.5, 0.25, 0.25, 1e-9]], (40_000, 1)))
    assert (pick(logits, rng(), 0.0) == 0).all()
    share = np.bincount(pick(logits, rng()), minlength=4) / 40_000
    assert np.allclose(share, [0.5, 0.25, 0.25, 0], atol=0.01)
    cold = np.bincount(pick(logits, rng(), 0.5), minlength=4) / 40_000
    assert np.allclose(cold, [4 / 6, 1 / 6, 1 / 6, 0], atol=0.01)
    assert (pick(logits, rng(), 1.0, top=1) == 0).all()


def test_write_with_its_cache_is_writing_without_one():
    net, words = model("decoder"), rng(2).integers(0, 5, (3, 3))
    found = write(net, LAYOUT, words, rng(), temperature=0)
    line = LAYOUT.rows(words, np.zeros((3, 4), int))
    with no_grad():
        for place in range(4, 8):
            line[:, place] = net(line[:, :place]).data[:, -1, :8].argmax(-1)
    assert np.array_equal(found, line[:, 4:])


def test_fill_draws_as_write_does_where_the_picture_is_hidden_and_the_text_causal():
    """One word, so that a prefix of two differs from a causal one in the start alone."""
    layout = Layout(8, 5, 0, 6)
    net = model("decoder", layout)
    found = write(net, layout, np.zeros((4, 0), int), rng(), 0.0)
    given = layout.rows(np.zeros((4, 0), int), np.zeros((4, 6), int))
    filled = coglm.fill(net, layout, given, hide("draw", layout, 1, rng())[0], rng(), 0.0)
    assert np.array_equal(filled[:, 1:], found)


def test_fill_reads_nothing_of_what_is_hidden_and_keeps_the_rest():
    net, given = model(), rows(4)
    hidden = hide("fill", LAYOUT, 4, rng(1))
    other = np.where(hidden, LAYOUT.start, given)
    one, two = (coglm.fill(net, LAYOUT, r, hidden, rng(), 0.0) for r in (given, other))
    assert np.array_equal(one, two) and np.array_equal(one[~hidden], given[~hidden])
    first, end = LAYOUT.allowed()
    assert ((first <= one) & (one < end)).all()


def test_one_model_learns_to_draw_tell_and_fill():
    """A picture repeats its word; hidden parts follow from either."""
    layout = Layout(6, 6, 1, 4)
    word = rng().integers(0, 6, 200)
    known = layout.rows(word[:, None], np.repeat(word[:, None], 4, 1))
    net = Transformer(Config(layout.vocabulary, layout.length, 2, 2, 32, kind="encoder"))
    batches = coglm.draw_batches(known, layout, coglm.KINDS, 32, seed=0)
    train(net, batches, 150, loss=coglm.loss, weigh=coglm.scored, lr=5e-3, progress=False)
    for kind in coglm.KINDS:
        hidden = hide(kind, layout, len(known), rng(1))
        assert (coglm.fill(net, layout, known, hidden, rng(), 0.0) == known).all(1).mean() > 0.95


def test_grey_levels_and_back():
    x = np.linspace(-1, 1, 17, dtype=np.float32).reshape(1, 17)
    assert grey_levels(x, 17, -1, 1).tolist() == [list(range(17))]
    assert np.array_equal(of_grey_levels(grey_levels(x, 17, -1, 1), 17, -1, 1), x)
    assert grey_levels(np.array([0.0, 0.49, 0.51, 1.0]), 2).tolist() == [0, 0, 1, 1]


# --- what is refused ----------------------------------------------------------------------------

WORDS, CODES = np.zeros((2, 3), int), np.zeros((2, 4), int)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: Layout(0, 1, 1, 1), "codes is 0; it must be 1 or more"),
        (lambda: Layout(1, 1, -1, 1), "text is -1; it must be 0 or more"),
        (lambda: LAYOUT.rows(WORDS, CODES[:, :2]), "words are (2, 3) and codes (2, 2); they must"),
        (lambda: LAYOUT.rows(WORDS + 5, CODES), "words are 5 to 5; they must be from 0 to 4"),
        (lambda: LAYOUT.rows(WORDS, CODES - 1), "codes are -1 to -1; they must be from 0 to 7"),
        (lambda: LAYOUT.rows(WORDS, CODES * 1.0), "codes are float64; they must be integers"),
        (lambda: pick(np.zeros((1, 2)), rng(), -1), "temperature is -1; it must be 0 or more"),
        (lambda: pick(np.zeros((1, 2)), rng(), 1, -2), "top is -2; it must be 0 or more"),
        (lambda: grey_levels(np.zeros(2), 1), "levels is 1; it must be 2 or more"),
        (lambda: grey_levels(np.zeros(2), 4, 1, 1), "low is 1 and high 1; low must be below high"),
        (lambda: grey_levels(np.array([2.0]), 4), "pixels are 2 to 2; they must be from 0 to 1"),
        (lambda: of_grey_levels(np.array([4]), 4), "tokens are 4 to 4; they must be from 0 to 3"),
        (lambda: coglm_mask(np.ones(3, bool)), "the first token is hidden; one must stand before"),
        (lambda: coglm_mask(np.zeros(3)), "hidden is float64 of shape (3,); it must be bool (T,)"),
        (lambda: popcount(-1, 2), "shown is -1 and hidden 2; neither may be below 0"),
        (lambda: hide("sing", LAYOUT, 1, rng()), "kind is 'sing'; it must be one of draw, tell, f"),
        (lambda: hide("fill", LAYOUT, 1, rng(), 0), "share is 0; it must be above 0"),
        (lambda: hide("tell", Layout(2, 0, 0, 2), 1, rng()), "the layout has no text; kind 'tell'"),
        (lambda: masked(rows(2), np.zeros((2, 3), bool)), "rows are (2, 8) and hidden (2, 3); bot"),
        (lambda: coglm.draw_batches(rows(2), LAYOUT, (), 2, 0), "kinds are () and batch is 2; the"),
        (lambda: coglm.draw_batches(CODES, LAYOUT, ("draw",), 2, 0), "rows are (2, 4); they must"),
        (lambda: model()(rows(1), mask=np.ones((3, 3), bool)), "mask is bool of shape (3, 3); it"),
        (lambda: model()(rows(1), mask=np.zeros((8, 8), bool)), "mask has a row without True; ev"),
        (
            lambda: model("prefix-lm")(rows(1), mask=np.ones((8, 8), bool), prefix=2),
            "mask and prefix are given; a mask says all, and must be alone",
        ),
    ],
)
def test_what_is_refused(call, text):
    with pytest.raises(InputError) as error:
        call()
    assert text in str(error.value)
