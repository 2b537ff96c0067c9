"""The eye, CLIP, projectors, the Q-Former, the visual expert and the model that sees."""

import math

import numpy as np
import pytest
from checks import check_op

from minilm import InputError, Tensor, nn
from minilm.models import Config, Transformer, llama
from minilm.nn import shapes_only
from minilm.optim import AdamW
from minilm.tensor import no_grad
from minilm.train import train
from minilm.vision import clip, expert, projectors, qformer, reconstruct
from minilm.vision.language import VisionLanguage, spread
from minilm.vision.vit import EyeConfig, ViT, seen


def rng(seed=0):
    return np.random.default_rng(seed)


def normal(*shape, seed=0):
    return rng(seed).standard_normal(shape).astype(np.float32)


# --- the eye ------------------------------------------------------------------------------------


def small_eye(layers=2, seed=0):
    nn.manual_seed(seed)
    return ViT(EyeConfig(side=8, patch=4, layers=layers, channels=16, heads=2))


@pytest.mark.parametrize(
    ("side", "tokens"), [(224, 256), (336, 576), (490, 1225), (1120, 6400), (1344, 9216)]
)
def test_tokens_of_published_eyes(side, tokens):
    assert EyeConfig(side=side, patch=14).tokens == tokens


def test_an_eye_is_patches_places_and_blocks_without_a_mask():
    eye, x = small_eye(), normal(3, 3, 8, 8)
    flat = x.reshape(3, 3, 2, 4, 2, 4).transpose(0, 2, 4, 1, 3, 5).reshape(3, 4, 48)
    state = Tensor(flat @ eye.patch.weight.data.T + eye.patch.bias.data + eye.places.data)
    for block in eye.stack.blocks:
        state = block(state, nn.Sight())
    assert np.allclose(eye(x).data, eye.stack.norm(state).data, atol=1e-5)
    first = x.copy()
    first[:, :, 4:, 4:] += 1  # the last patch
    assert np.abs(eye(first).data[:, 0] - eye(x).data[:, 0]).max() > 1e-3  # the first one sees it
    assert np.allclose(seen(eye, x, batch=2), eye(x).data, atol=1e-5)
    assert np.allclose(eye.pooled(x).data, eye(x).data.mean(1), atol=1e-6)


def test_skipping_the_last_block():
    eye, x = small_eye(), normal(2, 3, 8, 8)
    short = eye.stack.blocks[0](eye.embed(x), nn.Sight())
    assert np.array_equal(eye(x, skip=1).data, short.data)
    with pytest.raises(InputError, match="skip is 2"):
        eye(x, skip=2)


# --- CLIP ---------------------------------------------------------------------------------------


def by_formula(pictures, texts, scale):
    one, other = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (pictures, texts))
    logits = scale * one @ other.T
    terms = [
        math.log(sum(math.exp(v) for v in row)) - row[i]
        for side in (logits, logits.T)
        for i, row in enumerate(side)
    ]
    return np.array(sum(terms) / len(terms))


def test_the_contrastive_loss_is_its_formula():
    check_op(
        [(4, 3), (4, 3)],
        lambda a, b: clip.info_nce(a, b, 2.0),
        lambda a, b: by_formula(a, b, 2.0),
        low=0.5,
    )


@pytest.mark.parametrize("batch", [2, 7, 64])
def test_equal_logits_cost_ln_b_and_the_loss_is_symmetric(batch):
    same = Tensor(np.ones((batch, 5), np.float32))
    assert clip.info_nce(same, same).item() == pytest.approx(math.log(batch), rel=1e-6)
    a, b = Tensor(normal(batch, 5)), Tensor(normal(batch, 5, seed=1))
    assert clip.info_nce(a, b, 3).item() == pytest.approx(clip.info_nce(b, a, 3).item(), rel=1e-6)
    assert clip.info_nce(a, b, 0.0).item() == pytest.approx(math.log(batch), rel=1e-6)


def test_clip_learns_which_text_belongs_to_which_picture():
    eye = small_eye()
    model = clip.Clip(eye, words=9, longest=3, layers=1, heads=2, width=8)
    pictures, ids = normal(8, 3, 8, 8), np.arange(8)[:, None] + np.array([[1, 1, 1]])
    ids[:, 2] = 0  # padding
    before = model.loss(pictures, ids).item()
    optimizer = AdamW(model.parameters(), lr=3e-3)
    how = {"loss": clip.clip_loss, "optimizer": optimizer, "progress": False}
    train(model, lambda step: (pictures, ids), 60, **how)
    assert model.loss(pictures, ids).item() < 0.2 < before
    assert (model.logits(pictures, ids).argmax(1) == np.arange(8)).all()


def test_padding_is_not_read():
    model = clip.Clip(small_eye(), words=9, longest=4, layers=1, heads=2, width=8)
    short, long = np.array([[3, 5]]), np.array([[3, 5, 0, 0]])
    assert np.allclose(model.of_texts(short).data, model.of_texts(long).data, atol=1e-6)


# --- filling in ---------------------------------------------------------------------------------


def test_the_painter_is_scored_on_covered_patches_only():
    nn.manual_seed(0)
    painter = reconstruct.Painter(small_eye())
    pictures, covered = normal(2, 3, 8, 8), np.array([[1, 0, 0, 1], [0, 1, 1, 0]], bool)
    painted = painter(pictures, covered).data
    flat = pictures.reshape(2, 3, 2, 4, 2, 4).transpose(0, 2, 4, 1, 3, 5).reshape(2, 4, 48)
    wanted = ((painted - flat)[covered] ** 2).mean()
    assert painter.loss(pictures, covered).item() == pytest.approx(wanted, rel=1e-5)
    other = pictures.copy()
    other[0, :, :4, :4] += 1  # a covered patch: nobody sees it
    assert np.array_equal(painter(other, covered).data[0], painted[0])


def test_the_same_number_of_patches_is_covered():
    batches = reconstruct.covered_batches(normal(5, 3, 8, 8), 4, 6, 0.5, seed=1)
    pictures, covered = batches(3)
    assert pictures.shape == (6, 3, 8, 8) and (covered.sum(1) == 2).all()
    assert np.array_equal(batches(3)[1], covered)
    with pytest.raises(InputError, match="share is 0.9"):
        reconstruct.covered_batches(normal(5, 3, 8, 8), 4, 6, 0.9)


# --- projectors ---------------------------------------------------------------------------------


def test_projectors_keep_or_quarter_the_tokens():
    nn.manual_seed(0)
    x = Tensor(normal(2, 16, 6))
    made = {
        16: [nn.Linear(6, 8), projectors.Mlp2x(6, 8), projectors.Gated(6, 8)],
        4: [projectors.Strided(6, 8), qformer.QFormer(6, queries=4, channels=8, heads=2)],
    }
    for tokens, ways in made.items():
        for way in ways:
            assert way(x).shape == (2, tokens, 8)


def test_a_strided_convolution_is_a_linear_map_of_four_patches():
    nn.manual_seed(1)
    way, x = projectors.Strided(3, 5), normal(1, 16, 3)
    grid = x.reshape(4, 4, 3)
    weight = way.merge.weight.data  # (5, 3, 2, 2)
    for i in range(2):
        for j in range(2):
            four = grid[2 * i : 2 * i + 2, 2 * j : 2 * j + 2].transpose(2, 0, 1)  # (3, 2, 2)
            merged = weight.reshape(5, -1) @ four.ravel() + way.merge.bias.data
            ours = way.merge(projectors.as_grid(Tensor(x))).data[0, :, i, j]
            assert np.allclose(ours, merged, atol=1e-5)
    back = projectors.of_grid(projectors.as_grid(Tensor(x)))
    assert np.array_equal(back.data, x)


def test_published_numbers_of_tokens():
    assert projectors.strided_tokens(1120) == 1600
    assert projectors.strided_tokens(1344) == 2304
    with pytest.raises(InputError, match="pixels is 1000"):
        projectors.strided_tokens(1000)


# --- the Q-Former -------------------------------------------------------------------------------


def small_qformer(**how):
    nn.manual_seed(2)
    return qformer.QFormer(6, **{"queries": 3, "channels": 8, "layers": 2, "heads": 2, **how})


def test_queries_do_not_care_for_the_order_or_number_of_what_they_see():
    former, x = small_qformer(), normal(2, 10, 6)
    out = former(Tensor(x)).data
    assert out.shape == (2, 3, 8)
    assert np.allclose(former(Tensor(x[:, rng(1).permutation(10)])).data, out, atol=1e-5)
    assert former(Tensor(x[:, :4])).shape == (2, 3, 8)
    twice = former(Tensor(np.concatenate([x, x], 1))).data  # every key twice: the same mixture
    assert np.allclose(twice, out, atol=1e-5)


@pytest.mark.parametrize("kind", qformer.KINDS)
def test_the_three_masks_by_their_counts(kind):
    real = np.array([[True, True, True, False]])
    mask = qformer.sees(kind, 3, real)[0]
    text_sees_text = {"contrast": 9, "match": 9, "tell": 6}[kind]
    across = {"contrast": 0, "match": 18, "tell": 9}[kind]
    shown = mask[:6, :6]
    assert shown.sum() == 9 + text_sees_text + across
    assert not mask[:6, 6].any() and mask[6, 6]


def test_what_the_masks_keep_apart():
    former = small_qformer(words=12, longest=6)
    look, ids = Tensor(normal(2, 5, 6)), np.array([[1, 4, 5, 6], [1, 7, 8, 9]])
    other = ids.copy()
    other[:, 2:] = 3
    with no_grad():
        alone = former._run(look, ids, "contrast")[0].data
        assert np.allclose(alone, former(look).data, atol=1e-5)
        assert np.abs(former._run(look, ids, "match")[0].data - alone).max() > 1e-3
        one, two = (former._run(look, x, "tell") for x in (ids, other))
        assert np.allclose(one[0].data, alone, atol=1e-5)
        assert np.allclose(one[1].data[:, :2], two[1].data[:, :2], atol=1e-5)  # no future
        assert np.abs(one[1].data[:, 2:] - two[1].data[:, 2:]).max() > 1e-3


def test_losses_of_a_model_that_knows_nothing():
    former = small_qformer(words=12, longest=6)
    for part in (former.matches, former.tell, former.to_space):
        part.weight.data[...] = 0
    ids = np.array([[1, 4, 5, 0], [1, 7, 0, 0], [1, 2, 3, 4]])
    found = former.losses(Tensor(normal(3, 5, 6)), ids, rng(0))
    assert found.contrast.item() == pytest.approx(math.log(3), rel=1e-5)
    assert found.match.item() == pytest.approx(math.log(2), rel=1e-5)
    assert found.tell.item() == pytest.approx(math.log(12), rel=1e-5)


def test_a_qformer_learns_its_three_tasks():
    former = small_qformer(words=12, longest=6, channels=16)
    look, ids = normal(6, 5, 6), np.stack([np.r_[1, 2 + i, 3 + i, 4 + i] for i in range(6)])
    optimizer = AdamW(former.parameters(), lr=5e-3)

    def loss(model, batch):
        return sum(model.losses(Tensor(batch[0]), batch[1], rng(0)), start=Tensor(np.float32(0)))

    how = {"loss": loss, "optimizer": optimizer, "progress": False}
    losses = train(former, lambda step: (look, ids), 120, **how).losses
    assert losses[-1] < 0.5 * losses[0]


def test_what_a_qformer_refuses():
    with pytest.raises(InputError, match="queries is 0"):
        small_qformer(queries=0)
    with pytest.raises(InputError, match="words is 0"):
        small_qformer().losses(Tensor(normal(2, 5, 6)), np.ones((2, 3), int), rng(0))
    with pytest.raises(InputError, match="at least 2"):
        small_qformer(words=9).losses(Tensor(normal(1, 5, 6)), np.ones((1, 3), int), rng(0))
    with pytest.raises(InputError, match="kind is 'dream'"):
        qformer.sees("dream", 2, np.ones((1, 2), bool))


# --- the expert ---------------------------------------------------------------------------------


def test_an_expert_of_vicuna_7b_has_the_published_number_of_weights():
    assert expert.expert_parameters(llama("7b")) == 6_476_005_376
    with shapes_only():
        blocks = Transformer(llama("7b"), allocate=False).stack
    matrices = sum(p.data.size for p in blocks.parameters() if p.ndim == 2)
    assert matrices == 6_476_005_376


def test_runs():
    runs = expert.runs_of(np.array([False, True, True, False]))
    assert runs == [(0, 1, False), (1, 3, True), (3, 4, False)]
    assert expert.runs_of(np.array([True])) == [(0, 1, True)]


def language(seed=0, **how):
    config = {"vocab_size": 11, "context": 40, "layers": 2, "heads": 2, "channels": 16}
    config |= {"positions": "rope", "init_std": 0.2, **how}
    return Transformer(Config(**config), seed=seed)


def sees(expert=False, seed=0, **how):
    nn.manual_seed(seed)
    return VisionLanguage(language(seed, **how), small_eye(seed=seed), nn.Linear(16, 16), expert)


PICTURES, IDS = normal(3, 3, 8, 8), np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]])


def steps(model, what, count=3):
    model.learn(what)
    trained = [p for p in model.parameters() if p.requires_grad]
    batch = (PICTURES, IDS, np.roll(IDS, -1, 1))
    optimizer = AdamW(trained, lr=1e-2)
    train(model, lambda step: batch, count, optimizer=optimizer, progress=False)
    return model


@pytest.mark.parametrize("how", [{}, {"positions": "learned"}, {"positions": "alibi"}])
def test_copied_experts_change_nothing_at_first(how):
    plain, copied = sees(**how), sees(expert=True, **how)
    a, b = plain(PICTURES, IDS).data, copied(PICTURES, IDS).data
    assert a.shape == (3, 4 + 2 + 3, 11) and np.allclose(a, b, atol=1e-5)
    ids_first = (IDS, PICTURES, IDS)
    assert np.allclose(plain(*ids_first).data, copied(*ids_first).data, atol=1e-5)


def test_text_is_the_language_models_own_for_ever():
    model = sees(expert=True)
    before, kept = model(IDS).data.copy(), model.language(IDS).data.copy()
    shown = model(PICTURES, IDS).data.copy()
    steps(model, "expert")
    assert np.array_equal(before, kept)
    assert np.array_equal(model(IDS).data, before)  # bit for bit
    assert np.abs(model(PICTURES, IDS).data - shown).max() > 1e-2  # and it did learn


def test_full_tuning_changes_the_text():
    model = sees()
    before = model(IDS).data.copy()
    steps(model, "all")
    assert np.abs(model(IDS).data - before).max() > 1e-2


@pytest.mark.parametrize(
    ("what", "moved"),
    [
        ("projector", {"projector", "marks", "gain"}),
        ("expert", {"projector", "marks", "gain", "experts"}),
        ("all", {"projector", "marks", "gain", "experts", "language"}),
    ],
)
def test_what_learns_and_what_does_not(what, moved):
    model = sees(expert=True)
    before = {name: p.data.copy() for name, p in model.named_parameters()}
    steps(model, what)
    after = dict(model.named_parameters())
    changed = {n.split(".")[0] for n in before if not np.array_equal(before[n], after[n].data)}
    assert changed == moved


def test_a_model_learns_to_name_what_it_sees():
    model = steps(sees(expert=True), "expert", 80)
    assert (model.next_logits(PICTURES, IDS[:, :1]).argmax(-1) == IDS[:, 1]).all()


def test_seen_once_is_as_good_as_pictures():
    model = sees(expert=True)
    look = seen(model.eye, PICTURES)
    assert np.allclose(model(look, IDS).data, model(PICTURES, IDS).data, atol=1e-6)


def test_gradients_reach_the_eye_only_where_it_learns():
    model = sees()
    for eye in (False, True):
        model.learn("projector", eye=eye)
        model.zero_grad()
        model.loss(PICTURES, IDS, IDS).backward()
        assert (model.eye.patch.weight.grad is not None) == eye
        assert model.projector.weight.grad is not None
        assert model.language.tokens.weight.grad is None


def test_the_loss_scores_text_places_only():
    model = sees()
    targets = np.array([[2, -100, 5]] * 3)
    logits = model(PICTURES, IDS).data.astype(np.float64)[:, 6:]  # after 4 patches and 2 marks
    best = np.log(np.exp(logits).sum(-1))
    wanted = np.mean([best[:, 0] - logits[:, 0, 2], best[:, 2] - logits[:, 2, 5]])
    assert model.loss(PICTURES, IDS, targets).item() == pytest.approx(wanted, rel=1e-5)
    two = model.loss(IDS[:, :1], PICTURES, IDS[:, 1:], np.array([[-100, 2, 5]] * 3))
    logits = model(IDS[:, :1], PICTURES, IDS[:, 1:]).data.astype(np.float64)[:, 7:]
    best = np.log(np.exp(logits).sum(-1))
    wanted = np.mean([best[:, 0] - logits[:, 0, 2], best[:, 1] - logits[:, 1, 5]])
    assert two.item() == pytest.approx(wanted, rel=1e-5)
    assert spread(np.array([[7, 8]]), np.array([True, False, False])).tolist() == [[-100, 7, 8]]


@pytest.mark.parametrize("with_expert", [False, True])
def test_writing_with_a_cache_is_writing_without(with_expert):
    model = sees(with_expert)
    if with_expert:
        steps(model, "expert")
    line = IDS
    for _ in range(4):
        best = model.next_logits(PICTURES, line).argmax(-1)
        line = np.concatenate([line, best[:, None]], 1)
    assert np.array_equal(model.write(PICTURES, IDS, most=4), line[:, 3:])
    stop = int(line[0, 3])
    assert (model.write(PICTURES, IDS, most=4, stop=stop)[0] == stop).all()


def test_two_pictures_in_one_sequence():
    model = sees(expert=True)
    parts = (IDS[:, :1], PICTURES, IDS, PICTURES[::-1].copy(), IDS[:, :2])
    assert model(*parts).shape[1] == 1 + 6 + 3 + 6 + 2
    assert model.text_places(*parts).sum() == 6


@pytest.mark.parametrize("positions", ["rope", "alibi", "learned"])
def test_where_an_answer_looks(positions):
    """The shares, applied to the values, are what the attention mixes."""
    model = sees(expert=True, positions=positions, layers=1)
    shares, of_picture = model.looks(PICTURES, IDS)
    assert shares.shape == (1, 3, 2, 9) and of_picture.tolist() == [True] * 6 + [False] * 3
    assert np.allclose(shares.sum(-1), 1, atol=1e-5)
    x, _ = model._read((PICTURES, IDS))
    block = model.language.blocks[0]
    state = model._through(x, of_picture).data[:, -1]
    if positions == "learned":
        x = x + model.language.positions.weight.data[:9]
    packed = block.attention.qkv(block.norm1(x))
    v = block.attention.unpack(packed, None)[2].data  # (B, H, T, D)
    mixed = np.einsum("bht,bhtd->bhd", shares[0], v).reshape(3, 1, 16)
    last = x[:, -1:] + block.attention.out(Tensor(mixed.astype(np.float32)))
    last = last + block.feed_forward(block.norm2(last))
    assert np.allclose(model.language.stack.finish(last).data[:, 0], state, atol=1e-4)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: EyeConfig(side=9, patch=4), "patch is 4"),
        (lambda: EyeConfig(layers=0), "layers is 0"),
        (lambda: small_eye()(normal(1, 3, 4, 4)), r"this eye reads \(N, 3, 8, 8\)"),
        (lambda: clip.info_nce(Tensor(normal(2, 3)), Tensor(normal(3, 3))), "both must be"),
        (lambda: projectors.as_grid(Tensor(normal(1, 5, 2))), "x has 5 tokens"),
        (lambda: projectors.Strided(2, 2, 3)(Tensor(normal(1, 4, 2))), "stride 3"),
        (lambda: expert.Experts(language(norm_position="post").config), "needs 'pre'"),
        (lambda: sees(kind="encoder"), "kind 'encoder'"),
        (lambda: sees().learn("nothing"), "what is 'nothing'"),
        (lambda: sees().learn("expert"), "made without one"),
        (lambda: sees()(), "parts is empty"),
        (lambda: sees()(PICTURES, IDS[:2]), r"\[2, 3\] rows"),
        (lambda: sees()(PICTURES, IDS.astype(bool)), "a part is bool"),
        (lambda: sees(True)(PICTURES, np.ones((3, 40), int)), "context is 40"),
        (lambda: sees().loss(PICTURES, IDS, IDS[:, :2]), r"must be \(B, 3\)"),
        (lambda: sees().write(PICTURES, IDS, most=0), "most is 0"),
        (lambda: reconstruct.Painter(small_eye())(PICTURES, np.ones((3, 4))), "must be bool"),
    ],
)
def test_what_is_refused(call, says):
    with pytest.raises(InputError, match=says):
        call()


def test_a_model_in_float64_has_exact_gradients():
    nn.manual_seed(0)
    wide = Transformer(language().config, dtype=np.float64)
    eye = ViT(EyeConfig(side=8, patch=4, layers=1, channels=16, heads=2), dtype=np.float64)
    model = VisionLanguage(wide, eye, projectors.Mlp2x(16, 16, dtype=np.float64), expert=True)
    model.learn("all", eye=True)
    batch = (PICTURES.astype(np.float64), IDS, np.roll(IDS, -1, 1))
    model.loss(*batch).backward()
    for part in (model.marks, model.gain, eye.places, model.experts[1].attention.qkv.weight,
                 model.projector.down.weight, wide.blocks[0].feed_forward.up.weight):  # fmt: skip
        direction = rng(3).standard_normal(part.shape)
        slope = 0.0
        for sign in (1, -1):
            part.data += sign * 1e-6 * direction
            part.touch()
            slope += sign * model.loss(*batch).item() / 2e-6
            part.data -= sign * 1e-6 * direction
            part.touch()
        assert slope == pytest.approx(float((part.grad * direction).sum()), rel=1e-5, abs=1e-8)
