"""Small text for a model: the narrow branch, two vocabularies, zooming as an action, clicking."""

import numpy as np
import pytest

from minilm import InputError, Tensor, nn
from minilm.data.images import documents
from minilm.data.images import screen_play as play
from minilm.data.images.screens import draw, widgets
from minilm.models import Config, Transformer
from minilm.studies.until import descend
from minilm.tensor import no_grad
from minilm.vision import agent as agents
from minilm.vision.high_resolution import HighResolution
from minilm.vision.language import VisionLanguage
from minilm.vision.naming import PatchNaming
from minilm.vision.narrow import NarrowBranch, NarrowTransformer, count_scores
from minilm.vision.overlapping import OverlappingViT
from minilm.vision.vary import Beside, TwoVocabularies
from minilm.vision.vit import EyeConfig, ViT
from minilm.vision.zoom import ZoomWords, crop_zoom, run_chain

CONFIG = Config(vocab_size=11, context=40, layers=2, heads=2, channels=16, tie=False)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


# --- the narrow branch --------------------------------------------------------------------------


def by_hand(branch, h, fine):
    """The branch in float64, one row and one head at a time."""
    w = {name: np.asarray(p.data, np.float64) for name, p in branch.named_parameters()}
    mean, var = h.mean(-1, keepdims=True), h.var(-1, keepdims=True)
    n = (h - mean) / np.sqrt(var + 1e-5) * w["norm.weight"] + w["norm.bias"]
    q, kv = n @ w["query.weight"].T, fine @ w["key_value.weight"].T
    width = q.shape[-1]
    size, out = width // branch.heads, np.zeros_like(q)
    for i in range(branch.heads):
        part = slice(size * i, size * (i + 1))
        k, v = kv[..., part], kv[..., width:][..., part]
        score = q[..., part] @ k.swapaxes(1, 2) / size**0.5
        share = np.exp(score - score.max(-1, keepdims=True))
        out[..., part] = share / share.sum(-1, keepdims=True) @ v
    return h + out @ w["out.weight"].T + w["out.bias"]


@pytest.mark.parametrize("heads", [1, 2, 3])
def test_the_branch_is_narrow_cross_attention(heads):
    nn.manual_seed(1)
    branch = NarrowBranch(10, 5, 6, heads, dtype=np.float64)
    branch.out.weight.data = normal(10, 6, seed=2)
    h, fine = normal(2, 4, 10, seed=3), normal(2, 7, 5, seed=4)
    found = branch(Tensor(h), Tensor(fine)).data
    assert np.abs(found - by_hand(branch, h, fine)).max() < 1e-12
    order = np.random.default_rng(0).permutation(7)
    shuffled = branch(Tensor(h), Tensor(fine[:, order])).data
    assert np.allclose(found, shuffled)  # a set of tokens: their order is in them or nowhere


def test_at_first_the_branch_changes_nothing_and_its_way_back_learns():
    branch = NarrowBranch(10, 5, 6, 2, dtype=np.float64)
    h, fine = Tensor(normal(2, 4, 10)), Tensor(normal(2, 7, 5, seed=1))
    out = branch(h, fine)
    assert np.array_equal(out.data, h.data)
    (out * normal(2, 4, 10, seed=2)).sum().backward()
    assert np.abs(branch.out.weight.grad).max() > 0.01
    assert not branch.query.weight.grad.any()  # behind a zero nothing hears of the loss yet


def test_a_language_model_with_branches_says_the_same_until_they_learn():
    language = Transformer(CONFIG, seed=3)
    wide = NarrowTransformer.of(language, source=5, width=4, heads=2)
    ids, fine = np.arange(18).reshape(2, 9) % 11, Tensor(normal(2, 7, 5).astype(np.float32))
    before = language(ids).data
    assert np.array_equal(wide(ids).data, before)
    assert np.array_equal(wide(ids, fine=fine).data, before)
    wide.loss(ids, ids, fine=fine).backward()
    for block in wide.blocks:
        weight = block.branch.out.weight
        weight.data = weight.data - 0.5 * weight.grad
    assert np.abs(wide(ids, fine=fine).data - before).max() > 1e-4
    assert np.array_equal(wide(ids).data, before)  # without a picture it cannot have changed
    extra = wide.num_parameters() - language.num_parameters()
    assert extra == 2 * (2 * 16 + 16 * 4 + 5 * 8 + 4 * 16 + 16)


def test_fine_tokens_are_shown_inside_the_block_only_and_gradients_reach_them():
    wide = NarrowTransformer(CONFIG, source=5)
    wide.blocks[0].branch.out.weight.data = normal(16, 4).astype(np.float32)
    ids, fine = np.ones((1, 4), int), Tensor(normal(1, 3, 5), requires_grad=True)
    plain = wide(ids).data
    with wide.shown(fine):
        seen = wide(ids)
    assert np.abs(seen.data - plain).max() > 1e-4 and np.array_equal(wide(ids).data, plain)
    seen.sum().backward()
    assert np.abs(fine.grad).max() > 0
    wide.stack.recompute = True
    with pytest.raises(InputError, match="recompute is True; with fine tokens"):
        wide(ids, fine=fine)


def test_scores_of_cogagent_are_65_times_as_many_inside_the_sequence():
    """Counted token by token: each query against each key, at the width of the attention."""
    count = count_scores(low=256, fine=6400, text=100, channels=4096, width=1024)
    assert count.concatenated == 186_955_923_456 == 6756 * 6756 * 4096
    assert count.beside == 356 * 356 * 4096 + 356 * 6400 * 1024 == 2_852_192_256
    assert round(count.ratio, 1) == 65.5


def test_cogagents_branch_can_be_counted_at_full_size():
    config = Config(
        vocab_size=10, context=10, layers=2, heads=32, channels=4096, norm="rms", bias=False
    )
    wide = NarrowTransformer(config, 1024, 1024, 32, allocate=False)
    plain = Transformer(config, allocate=False).num_parameters()
    each = 4096 + 4096 * 1024 + 1024 * 2048 + 1024 * 4096 + 4096
    assert wide.num_parameters() - plain == 2 * each


def test_a_model_reads_the_large_picture_beside_its_sequence():
    nn.manual_seed(0)
    made = HighResolution(
        NarrowTransformer(CONFIG, 8, 4),
        ViT(EyeConfig(8, 4, 1, 16, 2)),
        nn.Linear(16, 16),
        ViT(EyeConfig(16, 4, 1, 8, 2)),
    )
    large = normal(2, 3, 16, 16).astype(np.float32)
    small, ids = normal(2, 3, 8, 8, seed=1).astype(np.float32), np.array([[1, 2], [3, 4]])
    same = VisionLanguage.forward(made, small, ids).data
    assert np.array_equal(made(large, small, ids).data, same)
    made.learn("projector")
    made.loss(large, small, ids, ids).backward()
    assert np.abs(made.language.blocks[0].branch.out.weight.grad).max() > 0
    assert made.language.tokens.weight.grad is None
    for block in made.language.blocks:
        block.branch.out.weight.data = 0.3 * normal(16, 4, seed=4).astype(np.float32)
    with no_grad():
        full = made(large, small, ids).data
    assert np.abs(full - same).max() > 1e-4
    assert np.allclose(made.next_logits(large, small, ids), full[:, -1], atol=1e-6)
    written = made.write(large, small, ids, most=3)
    longer = made.next_logits(large, small, np.concatenate([ids, written[:, :2]], 1))
    assert np.array_equal(longer.argmax(-1), written[:, 2])


def test_a_visual_expert_and_the_branch_go_together_as_in_cogagent():
    nn.manual_seed(0)
    language, eye = NarrowTransformer(CONFIG, 8, 4), ViT(EyeConfig(8, 4, 1, 16, 2))
    for block in language.blocks:
        block.branch.out.weight.data = 0.3 * normal(16, 4, seed=4).astype(np.float32)
    parts = (language, eye, nn.Linear(16, 16), ViT(EyeConfig(16, 4, 1, 8, 2)))
    plain, both = HighResolution(*parts), HighResolution(*parts, expert=True)
    both.marks, both.gain = plain.marks, plain.gain
    large = normal(2, 3, 16, 16).astype(np.float32)
    small, ids = normal(2, 3, 8, 8, seed=1).astype(np.float32), np.array([[1, 2], [3, 4]])
    with no_grad():
        seen, same = (made(large, small, ids).data for made in (plain, both))
        other = both(-large, small, ids).data
    assert np.allclose(seen, same, atol=1e-5)  # experts start as copies
    assert np.abs(other - same).max() > 1e-4  # and the branch is not passed by


# --- two vocabularies ---------------------------------------------------------------------------


def test_two_eyes_make_one_token_of_each_place():
    nn.manual_seed(0)
    first, second = ViT(EyeConfig(6, 2, 1, 8, 2)), ViT(EyeConfig(24, 8, 1, 12, 2))
    eye, pictures = TwoVocabularies(first, second, (6, 24)), normal(2, 3, 24, 24)
    seen = eye(pictures.astype(np.float32)).data
    small = pictures.reshape(2, 3, 6, 4, 6, 4).mean((3, 5)).astype(np.float32)
    assert seen.shape == (2, 9, 20)
    assert np.allclose(seen[..., :8], first(small).data, atol=1e-5)
    assert np.allclose(seen[..., 8:], second(pictures.astype(np.float32)).data)


def test_each_vocabulary_fills_its_half_of_the_width():
    """Vary: 1,024 numbers each to half of 4,096; 4,198,400 weights."""
    with nn.shapes_only():
        assert Beside((1024, 1024), 4096).num_parameters() == 4_198_400
    beside, x = Beside((3, 5), 8), normal(2, 4, 8).astype(np.float32)
    out = beside(Tensor(x)).data
    changed = x.copy()
    changed[..., 3:] += 1
    moved = beside(Tensor(changed)).data - out
    assert not moved[..., :4].any() and np.abs(moved[..., 4:]).min() > 0


# --- zooming ------------------------------------------------------------------------------------


def test_a_crop_shows_its_box_at_the_size_of_a_view():
    picture = normal(3, 12, 12)
    assert np.array_equal(crop_zoom(picture, (0, 0, 12, 12), 12), picture)
    part = crop_zoom(picture, (4, 8, 8, 12), 12)
    assert np.allclose(part, picture[:, 4:8, 8:12].repeat(3, 1).repeat(3, 2))
    assert np.allclose(crop_zoom(picture, (0, 0, 12, 12), 1)[:, 0, 0], picture.mean((1, 2)))


def test_the_boxes_of_a_grid_cover_a_view_once():
    words = ZoomWords(5, 3)
    boxes = [words.box(token, (2.0, 4.0, 8.0, 10.0)) for token in range(5, 14)]
    assert len(words) == 9 and 4 not in words and 13 in words and 14 not in words
    assert boxes[words.token(1, 2) - 5] == (4.0, 8.0, 6.0, 10.0)
    covered = np.zeros((12, 12), int)
    for top, left, bottom, right in np.array(boxes, int):
        covered[top:bottom, left:right] += 1
    assert (covered[2:8, 4:10] == 1).all() and covered.sum() == 36


def test_a_chain_finds_the_box_and_the_oracle_reads_it_there():
    """The scripted model finds the colour in the first view, zooms, and reads what it is shown."""
    words, world = ZoomWords(100, 3), documents.forms(30, seed=5)
    for picture, asked, number, place in zip(
        world.images, world.asked, world.numbers, world.places
    ):
        paper = np.array(documents.COLOURS[documents.NAMES[asked]], np.float32)

        def say(views, tokens, paper=paper):
            if not tokens:  # the last dot of each place is blank, whatever the number
                corners = views[0].reshape(3, 3, 8, 3, 8)[:, :, 7, :, 7]  # (3, 3, 3)
                far = ((corners - paper[:, None, None]) ** 2).sum(0)
                return words.first + int(far.argmin())
            page = np.ones((3, 24, 24), np.float32)
            page[:, :8, :8] = crop_zoom(views[-1], (0, 0, 24, 24), 8)
            (box,) = documents.read(page)
            return box.number

        chain = run_chain(picture, say, words, 24)
        assert chain.answer == [number] and chain.tokens[0] == words.first + place
        row, column = divmod(int(place), 3)
        cut = picture[:, 8 * row : 8 * row + 8, 8 * column : 8 * column + 8]
        assert np.allclose(chain.views[1], cut.repeat(3, 1).repeat(3, 2), atol=1e-6)


def test_zooms_into_zooms_are_cut_from_the_picture_itself():
    picture, words = normal(1, 36, 36), ZoomWords(0, 3)
    said = iter([4, 8, 20, 21])
    chain = run_chain(picture, lambda views, tokens: next(said), words, 4, answers=2)
    assert chain.boxes[1:] == [(12.0, 12.0, 24.0, 24.0), (20.0, 20.0, 24.0, 24.0)]
    assert np.array_equal(chain.views[2], picture[:, 20:24, 20:24])
    assert chain.tokens == [4, 8, 20, 21] and chain.answer == [20, 21]
    endless = run_chain(picture, lambda views, tokens: 0, words, 4, most=3)
    assert endless.tokens == [0, 0, 0] and endless.answer == []


# --- the agent ----------------------------------------------------------------------------------


def test_an_agent_can_learn_what_an_expert_does():
    """One app, twenty screens: learnt by heart within 60 steps."""
    from minilm.optim import AdamW

    shown = play.demonstrations(20, seed=1)
    model = agents.make_agent(0, channels=32, layers=1)
    optimizer = AdamW(model.parameters(), lr=3e-3)
    for step in range(60):
        loss = model.loss(*agents.imitation_batch(shown, 32, 0, step))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    words, wanted = agents.words_of(shown.pages, shown.fields), shown.actions[:, 0]
    assert (agents.actions_of(model, shown.images, words) == wanted).mean() > 0.9
    chance = agents.actions_of(agents.make_agent(1, 32, 1), shown.images, words)
    assert (chance == wanted).mean() < 0.5


def test_an_agent_plays_all_games_at_once():
    model, games = agents.make_agent(0, 16, 1, heads=2), play.games(6, seed=3)
    episodes = play.play(games, agents.Agent(model), limit=3)
    assert all(0 <= a <= 16 for e in episodes for a in e.actions)


def test_success_counts_tasks_and_harm():
    episodes = [
        play.Episode([1, 2, 16], [], True, False),
        play.Episode([1] * 20, [], False, True),
        play.Episode([1, 16], [], False, False),
        play.Episode([1, 2, 3, 4, 16], [], True, False),
    ]
    assert agents.success(episodes) == (0.5, 0.25, 4.0)
    assert np.isnan(agents.success(episodes[1:3]).actions)


def test_words_and_targets_of_a_batch():
    shown = play.demonstrations(30, seed=2, asked=3)
    images, words, targets = agents.imitation_batch(shown, 8, seed=1, step=3)
    assert images.shape == (8, 3, 32, 32) and words.shape == targets.shape == (8, 6)
    assert (words[:, ::2] < 6).all() and (words[:, 1::2] >= 6).all() and words.max() < 14
    assert (targets[:, ::2] == -100).all() and (targets[:, 1::2] >= agents.FIRST_ACTION).all()
    assert agents.VOCABULARY == 6 + 8 + 17
    assert agents.inked(np.array([0.0, 1.0])).tolist() == [2, 0]  # black, white


def test_labels_of_a_screen_say_what_stands_in_each_cell():
    (game,) = play.games(1, seed=5)
    labels = agents.screen_labels(draw(game.app, game.state)[None])
    assert labels.shape == (1, 16, 2)
    named = {
        cell: (agents.KINDS[kind - 1], agents.TEXTS[text - 1])
        for cell, (kind, text) in enumerate(labels[0])
        if kind
    }
    assert named == {w.cell: (w.kind, w.text) for w in widgets(game.app, game.state)}
    with pytest.raises(InputError, match="images hold a picture that is no screen"):
        agents.screen_labels(np.zeros((1, 3, 32, 32), np.float32))


# --- eyes that are taught patch by patch ----------------------------------------------------------


def test_naming_adds_up_the_cross_entropy_of_each_kind():
    nn.manual_seed(0)
    lesson = PatchNaming(ViT(EyeConfig(8, 4, 1, 12, 2)), 12, (3, 5))
    pictures = normal(2, 3, 8, 8).astype(np.float32)
    labels = np.random.default_rng(1).integers(0, 3, (2, 4, 2))
    logits = [x.detach().numpy().astype(np.float64) for x in lesson(pictures)]
    assert [x.shape for x in logits] == [(2, 4, 3), (2, 4, 5)]
    total = 0.0
    for kind, x in enumerate(logits):
        p = np.exp(x) / np.exp(x).sum(-1, keepdims=True)
        total -= np.log(np.take_along_axis(p, labels[:, :, kind, None], -1)).mean()
    assert abs(lesson.loss(pictures, labels).item() - total) < 1e-5
    said = [(x.argmax(-1) == labels[:, :, kind]).mean() for kind, x in enumerate(logits)]
    assert lesson.right(pictures, labels) == said


def test_an_eye_taught_patch_by_patch_learns_its_colours():
    world = documents.forms(64, seed=3)
    labels = np.full((64, 9, 1), 8)
    for row, page in zip(labels, world.boxes):
        for box in page:
            row[3 * box.row + box.column] = documents.NAMES.index(box.colour)
    nn.manual_seed(0)
    lesson = PatchNaming(ViT(EyeConfig(24, 8, 1, 16, 2)), 16, (9,))
    run = descend(lesson, lambda seed, step: (2 * (1 - world.images), labels), 0, 1e-2)
    before = lesson.right(2 * (1 - world.images), labels)[0]
    for _ in range(60):
        next(run)
    assert lesson.right(2 * (1 - world.images), labels)[0] > 0.95 > 0.6 > before


def test_overlapping_windows_see_half_a_patch_of_their_surroundings():
    nn.manual_seed(1)
    eye = OverlappingViT(EyeConfig(12, 4, 1, 8, 2))
    x = normal(2, 3, 12, 12).astype(np.float32)
    found = eye.embed(x).data - eye.places.data
    padded = np.pad(x, ((0, 0), (0, 0), (2, 2), (2, 2)))
    weight, bias = eye.patch.weight.data.astype(np.float64), eye.patch.bias.data
    for token in range(9):
        i, j = (4 * part for part in divmod(token, 3))
        window = padded[:, :, i : i + 8, j : j + 8]
        by_hand = np.einsum("ncij,ocij->no", window, weight) + bias
        assert np.abs(found[:, token] - by_hand).max() < 1e-5
    assert eye(x).shape == (2, 9, 8)


# --- what is refused ----------------------------------------------------------------------------


def vocabulary(sides=(8, 16)):
    return TwoVocabularies(ViT(EyeConfig(8, 4, 1, 8, 2)), ViT(EyeConfig(16, 2, 1, 8, 2)), sides)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda: NarrowBranch(8, 4, 5, 2),
            "width is 5; it must be a multiple of heads, which is 2",
        ),
        (
            lambda: NarrowBranch(8, 4, 4)(Tensor(normal(1, 2, 8)), Tensor(normal(1, 2, 5))),
            "fine is (1, 2, 5); it must be (1, M, 4)",
        ),
        (
            lambda: NarrowTransformer(CONFIG.replace(norm_position="post"), 4),
            "norm_position is 'post'; the narrow branch needs 'pre'",
        ),
        (lambda: count_scores(0, 1, 1, 1, 1), "low is 0; it must be 1 or more"),
        (
            lambda: HighResolution(Transformer(CONFIG), None, None, None),
            "language is a Transformer; it must be a NarrowTransformer",
        ),
        (lambda: vocabulary((8,)), "sides is (8,); it must be two numbers"),
        (lambda: vocabulary()(normal(1, 3, 16, 16)), "they must see as many tokens"),
        (lambda: OverlappingViT(EyeConfig(9, 3, 1, 8, 2)), "patch is 3; it must be even"),
        (
            lambda: OverlappingViT(EyeConfig(8, 4, 1, 8, 2))(normal(1, 3, 9, 9)),
            "pictures are (1, 3, 9, 9); this eye reads (N, 3, 8, 8)",
        ),
        (lambda: PatchNaming(None, 4, ()), "classes is (); each kind must have 2 or more"),
        (
            lambda: PatchNaming(ViT(EyeConfig(8, 4, 1, 8, 2)), 8, (3,)).loss(
                normal(1, 3, 8, 8), np.zeros((1, 4), int)
            ),
            "labels are (1, 4); they must be (1, 4, 1)",
        ),
        (lambda: Beside((3, 4), 7), "channels is 7; it must be even"),
        (lambda: Beside((3, 4), 8)(Tensor(normal(1, 2, 8))), "tokens have 8 numbers; they must"),
        (lambda: crop_zoom(normal(3, 4, 4), (0, 0, 5, 4), 2), "start is 0 and stop 5"),
        (lambda: crop_zoom(normal(3, 4, 4), (0, 0, 4), 2), "box is (0, 0, 4); it must be (top"),
        (lambda: ZoomWords(0, 1), "first is 0 and grid 1; they must be 0 and 2 or more"),
        (lambda: ZoomWords(5, 3).token(3, 0), "cell is (3, 0); both must be below 3"),
        (lambda: ZoomWords(5, 3).box(14, (0, 0, 1, 1)), "token is 14; boxes are named by 5 to 13"),
        (lambda: run_chain(normal(4, 4), None, ZoomWords(0, 2), 2), "picture is (4, 4)"),
        (
            lambda: run_chain(normal(1, 4, 4), None, ZoomWords(0, 2), 2, answers=0),
            "answers is 0 and most 8; both must be 1 or more",
        ),
    ],
)
def test_what_is_refused(call, text):
    with pytest.raises(InputError) as error:
        call()
    assert text in str(error.value)
