"""Models that are counted: against naive Bayes, entropies, and counts made one by one."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minilm
from minilm import InputError, Tensor, explicit, no_grad, optim, parallel
from minilm import functional as F
from minilm.explicit.solution import LOG_ZERO
from minilm.explicit.warm import slot_targets

# ------------------------------------------------------------------------------------ ciphers


def test_a_cipher_of_three_bits() -> None:
    """All 7 vectors, the most frequent token first; equal counts rank by id."""
    cipher = explicit.bit_cipher([5, 9, 5, 1, 0, 3, 2], 3)
    expected = {1: (1, 0, 0), 0: (0, 1, 0), 2: (0, 0, 1)}
    expected |= {5: (0.5, 0.5, 0), 6: (0.5, 0, 0.5), 3: (0, 0.5, 0.5), 4: (1 / 3, 1 / 3, 1 / 3)}
    np.testing.assert_allclose(cipher, [expected[token] for token in range(7)], atol=1e-15)


@given(st.integers(1, 9), st.data())
def test_ciphers_tell_all_tokens_apart_and_frequent_ones_best(bits: int, data) -> None:
    size = data.draw(st.integers(1, min(2**bits - 1, 60)))
    counts = data.draw(st.lists(st.integers(0, 50), min_size=size, max_size=size))
    cipher = explicit.bit_cipher(counts, bits)
    np.testing.assert_allclose(cipher.sum(axis=1), 1, atol=1e-12)
    ones = (cipher > 0).sum(axis=1)
    ranked = sorted(range(size), key=lambda token: -counts[token])
    assert (np.diff(ones[ranked]) >= 0).all()
    np.testing.assert_array_equal(cipher[ranked[:bits]], np.eye(bits)[: len(ranked)])
    np.testing.assert_array_equal(explicit.decipher(cipher, cipher), np.arange(size))


def test_a_vocabulary_that_the_bits_cannot_tell_apart() -> None:
    assert len(explicit.bit_cipher(np.ones(7), 3)) == 7
    sentence = r"the vocabulary has 8 tokens; 3 bits tell at most 2\^3 - 1 = 7 apart$"
    with pytest.raises(InputError, match=sentence):
        explicit.bit_cipher(np.ones(8), 3)


def test_vectors_of_neighbours_by_hand() -> None:
    """A text of 0 1 2: within 1, token 0 sees 1; token 1 sees 0 and 2. Token 3 never occurs."""
    vectors = explicit.neighbour_vectors([0, 1, 2], np.eye(4), [1, 2])
    np.testing.assert_allclose(vectors[0] * 3, [0, 1, 0, 0, 0, 1, 1, 0], atol=1e-12)
    np.testing.assert_allclose(vectors[1] * 4, [1, 0, 1, 0, 1, 0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(vectors[3], 1 / 8, atol=1e-12)


def test_tokens_used_alike_have_vectors_that_are_alike() -> None:
    """Tokens 2 and 3 both stand between 0 and 1; 4 and 5 between each other."""
    rng = np.random.default_rng(0)
    kinds = rng.integers(0, 3, 400)
    text = np.concatenate([[[0, 2, 1], [0, 3, 1], [4, 5, 4]][kind] for kind in kinds])
    cipher = explicit.bit_cipher(np.bincount(text), 4)
    vectors = explicit.neighbour_vectors(text, cipher, [1, 2])
    apart = np.abs(vectors[:, None] - vectors).sum(axis=-1)
    assert apart[2, 3] < 0.3 * min(apart[2, [0, 1, 4, 5]])
    np.testing.assert_allclose(vectors.sum(axis=1), 1, atol=1e-12)


# ----------------------------------------------------------------------------------- contexts


CIPHER = explicit.bit_cipher(np.arange(6, 0, -1), 3)  # 6 tokens


def test_parts_of_a_context() -> None:
    ids = [0, 1, 2, 3, 4]
    rows = explicit.context_features(ids, np.eye(5), block=2, radius=3, document=True)
    block, radius, bag = np.split(rows, [10, 25], axis=1)

    def tokens(*slots: int | None) -> np.ndarray:
        return np.concatenate([np.zeros(5) if s is None else np.eye(5)[s] for s in slots])

    np.testing.assert_array_equal(
        block, [tokens(0, None), tokens(0, 1), tokens(2, None), tokens(2, 3), tokens(4, None)]
    )
    np.testing.assert_array_equal(radius[0], tokens(None, None, 0))
    np.testing.assert_array_equal(radius[4], tokens(2, 3, 4))
    np.testing.assert_array_equal(np.diff(bag, axis=0), np.eye(5)[1:])  # grows by one token a step


def test_a_radius_ignores_what_is_older() -> None:
    one = explicit.context_features([0, 1, 2, 3], CIPHER, radius=2)
    other = explicit.context_features([5, 5, 2, 3], CIPHER, radius=2)
    np.testing.assert_array_equal(one[3], other[3])
    assert (one[2] != other[2]).any()


texts = st.lists(st.integers(0, 5), max_size=40)
sizes = st.tuples(st.integers(0, 4), st.integers(0, 4), st.booleans()).filter(any)


@given(texts, st.lists(st.integers(0, 40), max_size=5), sizes)
def test_pieces_of_any_length_give_the_same_contexts(text, cuts, parts) -> None:
    whole = explicit.context_features(text, CIPHER, *parts)
    reader = explicit.ContextReader(CIPHER, *parts)
    pieces = np.split(np.array(text, int), sorted(min(cut, len(text)) for cut in cuts))
    np.testing.assert_array_equal(np.concatenate([reader.read(p) for p in pieces]), whole)


# ------------------------------------------------------------------------------------- counts


def test_cooccurrences_are_a_sum_of_outer_products() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.random((20, 3)), rng.random((20, 4))
    expected = sum(np.outer(a, b) for a, b in zip(x, y, strict=True))
    np.testing.assert_allclose(explicit.cooc(x, y), expected, atol=1e-12)
    ids = rng.integers(0, 4, 20)
    counts = explicit.Counts(3, 4)
    counts.add(x, ids)
    np.testing.assert_allclose(counts.table, explicit.cooc(x, np.eye(4)[ids]), atol=1e-12)
    assert counts.k == pytest.approx(explicit.average_norm(x), abs=1e-12)


@given(st.integers(0, 2**31), st.integers(0, 30), st.integers(0, 30))
def test_two_shards_add_up_to_one(seed: int, first: int, second: int) -> None:
    rng = np.random.default_rng(seed)
    x, ids = rng.random((first + second, 3)), rng.integers(0, 4, first + second)
    one, two, both = (explicit.Counts(3, 4) for _ in range(3))
    one.add(x[:first], ids[:first])
    two.add(x[first:], np.eye(4)[ids[first:]])
    both.add(x, ids)
    merged = one + two
    np.testing.assert_allclose(merged.table, both.table, atol=1e-12)
    assert merged.examples == both.examples
    assert merged.norm == pytest.approx(both.norm, abs=1e-12)


@given(texts, st.integers(0, 40), st.integers(1, 7), sizes)
def test_a_stream_is_counted_the_same_however_it_is_cut(text, cut, step, parts) -> None:
    """In one go, token by token from a generator, and as two shards of one text."""
    rows = explicit.context_features(text, CIPHER, *parts)
    expected = np.zeros((rows.shape[1], 6))
    for row, token in zip(rows, text[1:], strict=False):
        expected[:, token] += row

    def reader() -> explicit.ContextReader:
        return explicit.ContextReader(CIPHER, *parts)

    pieces = (text[i : i + step] for i in range(0, len(text), step))
    streamed = explicit.count_stream(pieces, reader(), 6)
    np.testing.assert_allclose(streamed.table, expected, atol=1e-10)
    later = reader()
    later.read(text[:cut])
    shards = [
        explicit.count_stream([text[:cut]], reader(), 6),
        explicit.count_stream([text[cut:]], later, 6),
    ]
    merged = shards[0] + shards[1]
    np.testing.assert_allclose(merged.table, expected, atol=1e-10)
    assert merged.examples == streamed.examples == max(len(text) - 1, 0)


def test_a_long_piece_is_counted_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    text = np.random.default_rng(0).integers(0, 6, 100)
    whole = explicit.count_stream([text], explicit.ContextReader(CIPHER, 3, 2, True), 6)
    monkeypatch.setattr("minilm.explicit.counts.PIECE", 7)
    parts = explicit.count_stream([text], explicit.ContextReader(CIPHER, 3, 2, True), 6)
    np.testing.assert_allclose(parts.table, whole.table, atol=1e-12)
    assert parts.examples == whole.examples == 99


def test_ranks_add_up_what_they_counted() -> None:
    text = np.random.default_rng(0).integers(0, 6, 90)

    def rank(comm) -> np.ndarray:
        own = np.array_split(text, comm.size)[comm.rank]
        counts = explicit.count_stream([own], explicit.ContextReader(CIPHER, radius=2), 6)
        return comm.all_reduce(counts.table)

    values = parallel.simulate(rank, 3).values
    shards = [
        explicit.count_stream([own], explicit.ContextReader(CIPHER, radius=2), 6)
        for own in np.array_split(text, 3)
    ]
    for value in values:
        np.testing.assert_allclose(value, sum(s.table for s in shards), atol=1e-12)


# ----------------------------------------------------------------------------------- solution


def test_with_one_feature_the_loss_is_the_empirical_conditional_entropy() -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 7, 3000)
    y = (x * x + rng.integers(0, 3, 3000) ** 2) % 9
    counts = explicit.Counts(7, 10)  # target 9 never occurs
    counts.add(np.eye(7)[x], y)
    assert counts.k == 1
    entropy = 0.0  # H(y | x), by its definition
    for a in range(7):
        share = np.bincount(y[x == a]) / (x == a).sum()
        entropy -= (x == a).mean() * sum(p * math.log(p) for p in share if p)
    weights = Tensor(counts.solution(), requires_grad=True)
    loss = F.cross_entropy(Tensor(np.eye(7)[x]) @ weights, y)
    loss.backward()
    assert loss.item() == pytest.approx(entropy, abs=1e-12)
    np.testing.assert_allclose(weights.grad, 0, atol=1e-12)


def naive_bayes(table: np.ndarray, prior: np.ndarray, row: np.ndarray) -> np.ndarray:
    """P(i | x) from P(i) prod_j P(j | i)^x_j, factor by factor."""
    posterior = prior / prior.sum()
    for feature, amount in enumerate(row):
        posterior = posterior * (table[feature] / table.sum(axis=0)) ** amount
    return posterior / posterior.sum()


@pytest.mark.parametrize("k", [1, 2, 3, 6])
@pytest.mark.parametrize("alpha", [0.0, 0.5, 20.0])
def test_the_posterior_is_that_of_multinomial_naive_bayes(k: int, alpha: float) -> None:
    rng = np.random.default_rng(k)
    x = rng.multinomial(k, rng.dirichlet(np.ones(4)), 400).astype(float)
    y = np.concatenate([np.arange(5), rng.integers(0, 5, 395)])
    table = explicit.cooc(x, np.eye(5)[y]) + 1.0
    examples = table.sum(axis=0) / k  # S_i / K
    smooth = table + alpha * examples / examples.sum()
    weights = explicit.explicit_solution(table, k, alpha)
    posterior = F.softmax(Tensor(x @ weights)).data
    for row, found in zip(x[:50], posterior[:50], strict=True):
        prior = smooth.sum(axis=0)  # smoothing leaves the shares of the targets as they are
        np.testing.assert_allclose(prior / prior.sum(), examples / examples.sum(), atol=1e-12)
        np.testing.assert_allclose(found, naive_bayes(smooth, prior, row), atol=1e-10)


@given(st.integers(0, 2**31), st.floats(0.2, 30))
def test_a_scale_of_the_counts_changes_no_posterior(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    table, x = rng.random((4, 3)) + 0.01, rng.dirichlet(np.ones(4), 5) * 2.5
    first, second = (
        F.softmax(Tensor(x @ explicit.explicit_solution(t, 2.5))).data
        for t in (table, scale * table)
    )
    np.testing.assert_allclose(first, second, atol=1e-12)


def test_smoothing_changes_no_prior_and_shares_out_what_is_unseen() -> None:
    table = np.array([[4.0, 0.0], [2.0, 2.0]])
    weights = explicit.explicit_solution(table, 1, alpha=0.8)
    np.testing.assert_allclose(np.exp(weights), [[4.6, 0.2], [2.6, 2.2]])


def test_nothing_is_nan_where_nothing_was_seen() -> None:
    table = np.array([[3.0, 0, 0], [0, 2, 0]])
    weights = explicit.explicit_solution(table, 2)
    assert np.isfinite(weights).all() and weights[0, 1] < LOG_ZERO + 1
    for row in ([2.0, 0], [0, 2.0], [1.0, 1.0]):
        posterior = F.softmax(Tensor(np.array(row) @ weights)).data
        assert posterior[2] == 0  # a target never seen stays below those that were
        assert posterior.sum() == pytest.approx(1)


def test_the_average_norm_is_the_number_of_vectors_side_by_side() -> None:
    rows = explicit.context_features(np.arange(6), CIPHER, radius=3)[2:]
    assert explicit.average_norm(rows) == pytest.approx(3, abs=1e-12)
    assert explicit.average_norm([[1, 0], [1, 2]]) == 2


# ----------------------------------------------------------- what the pilot found, in seconds


def chain(length: int, size: int = 60) -> np.ndarray:
    """Tokens that depend on the two before them, with Zipf's frequencies."""
    rng = np.random.default_rng(5)
    zipf = 1 / np.arange(1, size + 1)
    likely = rng.choice(size, (size, size, 3), p=zipf / zipf.sum())
    mixed, pick = rng.random(length) < 0.3, rng.integers(0, 3, length)
    noise = rng.choice(size, length, p=zipf / zipf.sum())
    text = [0, 1]
    for i in range(length - 2):
        text.append(int(noise[i] if mixed[i] else likely[text[-2], text[-1], pick[i]]))
    return np.array(text)


def losses(bits: int, radius: int, tokens: int) -> tuple[float, float]:
    """Explicit solution: nats per token on its own text and on 10,000 held-out tokens."""
    text = chain(tokens + 10_000)
    known, new = text[:tokens], text[tokens:]
    vectors = explicit.bit_cipher(np.bincount(known, minlength=60), bits)
    counts = explicit.count_stream([known], explicit.ContextReader(vectors, radius=radius), 60)
    weights = counts.solution(alpha=1.0)  # so a pair never seen is rare, not impossible
    both = (
        F.cross_entropy(explicit.context_features(t, vectors, radius=radius)[:-1] @ weights, t[1:])
        for t in (known, new)
    )
    return tuple(loss.item() for loss in both)


def test_one_pass_takes_the_loss_from_ln_v_down_and_holds_on_new_text() -> None:
    seen, new = losses(bits=8, radius=2, tokens=50_000)
    assert new < math.log(60) - 0.5
    assert abs(seen - new) < 0.05


def test_many_features_and_few_tokens_count_evidence_twice() -> None:
    seen, new = losses(bits=60, radius=8, tokens=5_000)
    assert seen < losses(bits=16, radius=2, tokens=5_000)[0]
    assert new > math.log(60)  # worse than knowing nothing


# ---------------------------------------------------------------------------------- attention


@given(st.integers(1, 5), st.integers(0, 2**31))
def test_cached_comparisons_give_the_same_weights(k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors, w = rng.random((9, 4)), rng.normal(size=(5, 5)) * 3
    ids = rng.integers(0, 9, (6, k))
    weights = explicit.saffu_attend(vectors[ids], w).data
    np.testing.assert_allclose(weights.sum(axis=-1), 1, atol=1e-12)
    cached = explicit.attend_cached(ids, explicit.compare_table(vectors), w).data
    np.testing.assert_allclose(cached, weights, atol=1e-12)


def test_weights_of_a_block_by_hand() -> None:
    block, w = np.array([[1.0, 0], [0.5, 0.5]]), np.array([[9.0, 9, 9], [9, 2, 0], [9, 1, 4]])
    scores = np.array([2 * 0.5, 1 * 0.5 + 4 * 0.5])  # the lower right of W, comparisons .5 and .5
    expected = np.exp(scores) / np.exp(scores).sum()
    np.testing.assert_allclose(explicit.saffu_attend(block, w).data, expected, atol=1e-12)


# -------------------------------------------------------------------------------------- SAFFU


def small(dtype=np.float64, **contexts) -> explicit.SaffuModel:
    minilm.nn.manual_seed(3)
    contexts = contexts or {"block": 3, "radius": 4, "document": True}
    model = explicit.SaffuModel(CIPHER, 3, dtype=dtype, **contexts)
    rng = np.random.default_rng(0)
    for part in model.contexts:
        if isinstance(part, explicit.Saffu):
            part.weigh.weight.data[...] = rng.normal(size=part.weigh.weight.shape)
    return model


IDS = np.random.default_rng(2).integers(0, 6, (2, 7))


def by_hand(model: explicit.SaffuModel, ids: list[int]) -> np.ndarray:
    """The logits after the last of these tokens, slot by slot."""

    def soft(x: np.ndarray) -> np.ndarray:
        return np.exp(x) / np.exp(x).sum()

    pivot, states, held = CIPHER[ids[-1]], [], []
    for part in model.contexts:
        if isinstance(part, explicit.Bag):
            z = CIPHER[ids].mean(axis=0)
        else:
            size, w = part.size, part.weigh.weight.data
            if part.kind == "block":
                held = ids[(len(ids) - 1) // size * size :]
                slots = list(range(len(held)))
            else:
                held = ids[-size:]
                slots = list(range(size - len(held), size))
            compared = np.array([CIPHER[i] @ pivot for i in held])
            weights = soft(w[np.ix_(slots, slots)] @ compared)
            z = np.zeros((size, CIPHER.shape[1]))
            z[slots] = len(held) * weights[:, None] * CIPHER[held]
            z = z.ravel()
        states.append(soft(part.value.weight.data @ z))
    return model.output.weight.data @ np.concatenate(states)


def test_the_model_is_the_one_that_its_docstring_tells() -> None:
    model = small()
    logits = model(IDS).data
    for row, t in itertools.product(range(2), range(7)):
        expected = by_hand(model, IDS[row, : t + 1].tolist())
        np.testing.assert_allclose(logits[row, t], expected, atol=1e-12)


def test_the_model_with_a_table_gives_the_same() -> None:
    model = small()
    table = explicit.compare_table(model.vectors.data)
    np.testing.assert_allclose(model(IDS, table).data, model(IDS).data, atol=1e-12)
    single = small(np.float32)
    assert single(IDS, table.astype(np.float64)).dtype == np.float32


def test_a_radius_is_the_attention_of_its_last_tokens() -> None:
    model = small(radius=4)
    part = model.contexts[0]
    x, compared, filled = part.slots(IDS, model.vectors, None)
    z = part.weighted(x, compared, filled).data.reshape(2, 7, 4, 3)  # (B, T, K d) -> (B, T, K, d)
    for t in (0, 2, 6):
        block = CIPHER[IDS[:, max(t - 3, 0) : t + 1]]
        weights = explicit.saffu_attend(block, part.weigh.weight).data
        k = block.shape[1]
        np.testing.assert_allclose(z[:, t, -k:].sum(-1), k * weights, atol=1e-12)


def test_gradients_of_every_parameter_also_of_thawed_vectors() -> None:
    model = small()
    model.vectors.requires_grad = True
    targets = np.random.default_rng(4).integers(0, 6, IDS.shape)

    def loss() -> Tensor:
        return F.cross_entropy(model(IDS), targets)

    loss().backward()
    rng = np.random.default_rng(1)
    for name, parameter in model.named_parameters():
        along = rng.normal(size=parameter.shape)
        with no_grad():
            values = []
            for step in (1e-5, -2e-5):
                parameter.data += step * along
                parameter.touch()
                values.append(loss().item())
            parameter.data += 1e-5 * along
            parameter.touch()
        slope = (values[0] - values[1]) / 2e-5
        assert (parameter.grad * along).sum() == pytest.approx(slope, abs=1e-7), name


# --------------------------------------------------------------------------------- warm start


def test_slot_targets_are_the_slope_of_the_loss_above() -> None:
    """-dL/da of each weight, by the tape: the derivation in `warm` says what it is."""
    model = small(radius=4)
    part = model.contexts[0]
    part.weigh.weight.data[...] = 0
    labels = explicit.bit_cipher(np.ones(6), 3)
    targets, _ = slot_targets(part, IDS, model.vectors, labels)
    x, _, filled = part.slots(IDS[:, :-1], model.vectors)
    even = filled / filled.sum(axis=-1, keepdims=True)
    a = Tensor(np.broadcast_to(even, x.shape[:-1]).copy(), requires_grad=True)
    z = (x * (a * filled.sum(axis=-1, keepdims=True))[..., None]).reshape(
        2, 6, -1
    )  # (B, T, K, d) -> (B, T, K d)
    (-F.log_softmax(part.value(z)) * labels[IDS[:, 1:]]).sum().backward()
    expected = F.softmax(Tensor(np.where(filled, -a.grad, -np.inf))).data
    np.testing.assert_allclose(targets.reshape(2, 6, 4), expected, atol=1e-12)


@pytest.mark.parametrize("kind", ["block", "radius"])
def test_with_even_weights_a_context_is_its_vectors_side_by_side(kind: str) -> None:
    """So its value layer, solved, is the layer on concatenated vectors: naive Bayes."""
    model = small(**{kind: 4})
    part = model.contexts[0]
    part.weigh.weight.data[...] = 0
    z = part.weighted(*part.slots(IDS, model.vectors, None)).data
    for row, ids in zip(z, IDS, strict=True):
        expected = explicit.context_features(ids, CIPHER, **{kind: 4})
        np.testing.assert_allclose(row, expected, atol=1e-12)


def test_a_token_that_no_text_showed_stays_possible() -> None:
    model = small(np.float32)
    explicit.warm_start(model, [np.minimum(IDS, 3)])  # never 4 or 5
    p = F.softmax(model(IDS)).data
    assert p.min() > 1e-3 and p[..., :4].min() > p[..., 4:].max()


def test_a_text_of_no_tokens() -> None:
    model = small(np.float32)
    assert model(np.zeros((2, 0), int)).shape == (2, 0, 6)
    assert model(np.zeros((0, 3), int)).shape == (0, 3, 6)


def warm(**contexts) -> tuple[explicit.SaffuModel, np.ndarray, np.ndarray]:
    text = chain(12_000)
    known, new = text[:10_000].reshape(-1, 50), text[10_000:].reshape(-1, 50)
    minilm.nn.manual_seed(0)
    vectors = explicit.bit_cipher(np.bincount(known.ravel(), minlength=60), 12)
    model = explicit.SaffuModel(vectors, 12, **contexts)
    explicit.warm_start(model, [known])
    return model, known, new


def loss_of(model: explicit.SaffuModel, text: np.ndarray) -> Tensor:
    table = explicit.compare_table(model.vectors.data)
    return F.cross_entropy(model(text[:, :-1], table), text[:, 1:])


def test_a_warm_start_begins_below_a_unigram_and_fine_tuning_goes_on() -> None:
    model, known, new = warm(block=4, radius=3, document=True)
    share = np.bincount(known[:, 1:].ravel(), minlength=60) + 1.0
    unigram = -np.log(share / share.sum())[new[:, 1:]].mean()
    started = loss_of(model, new).item()
    assert started < unigram < math.log(60)
    optimizer = optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.02)
    for _ in range(15):
        optimizer.zero_grad()
        loss_of(model, known).backward()
        optimizer.step()
    assert loss_of(model, new).item() < started - 0.02


def test_layers_are_solved_on_what_the_solved_layers_below_send() -> None:
    model, known, _ = warm(radius=3)
    part, ids, following = model.contexts[0], known[:, :-1], known[:, 1:].ravel()
    labels = explicit.bit_cipher(np.bincount(following, minlength=60), 12)
    z = part.weighted(*part.slots(ids, model.vectors, None)).data.reshape(-1, 36)
    k = explicit.average_norm(z)
    table = explicit.cooc(z, labels[following]) + k / 36  # one even example of each target
    u = explicit.explicit_solution(table, k, 1.0)
    np.testing.assert_allclose(part.value.weight.data, u.T, rtol=1e-4, atol=1e-4)
    h = model.hidden(ids).data.reshape(-1, 12)
    o = explicit.explicit_solution(explicit.cooc(h, np.eye(60)[following]) + 1 / 12, 1, 1.0)
    np.testing.assert_allclose(model.output.weight.data, o.T, rtol=1e-4, atol=1e-4)
    assert (part.weigh.weight.data != 0).all()


def test_without_a_solved_w_the_rest_is_solved_on_even_weights() -> None:
    model, known, _ = warm(radius=3)
    explicit.warm_start(model, [known], weigh=False)
    part = model.contexts[0]
    np.testing.assert_array_equal(part.weigh.weight.data, 0)
    ids, following = known[:, :-1], known[:, 1:].ravel()
    z = np.concatenate(
        [explicit.context_features(row, model.vectors.data, radius=3) for row in ids]
    )
    labels = explicit.bit_cipher(np.bincount(following, minlength=60), 12)
    k = explicit.average_norm(z)
    table = explicit.cooc(z, labels[following]) + k / 36  # one even example of each target
    u = explicit.explicit_solution(table, k, 1.0)
    np.testing.assert_allclose(part.value.weight.data, u.T, rtol=1e-4, atol=1e-4)


# ------------------------------------------------------------------------------------ refusals


def test_what_is_refused() -> None:
    counts, model = explicit.Counts(2, 3), small()
    thawed = small()
    thawed.vectors.requires_grad = True
    table = np.ones((6, 6))
    solve, attend, model_of = (
        explicit.explicit_solution,
        explicit.saffu_attend,
        explicit.SaffuModel,
    )
    for sentence, call in {
        "bits is 0; it must be 1 or more": lambda: explicit.bit_cipher([1], 0),
        "counts go down to -1": lambda: explicit.bit_cipher([-1], 2),
        "counts are .1, 1.": lambda: explicit.bit_cipher([[1]], 2),
        "they must be .N, b. and .V, b.": lambda: explicit.decipher([[1, 0]], CIPHER),
        "features goes down to -1": lambda: counts.add([[-1, 0]], [0]),
        "features has width 3": lambda: counts.add([[1, 0, 0]], [0]),
        "targets has width 2": lambda: counts.add([[1, 0]], [[1, 0]]),
        "1 rows and targets 2": lambda: counts.add([[1, 0]], [0, 1]),
        "ids holds 3": lambda: counts.add([[1, 0]], [3]),
        "must have the same shape": lambda: counts + explicit.Counts(3, 3),
        "no example was counted": lambda: counts.k,
        "targets is 0; it must be at least 1": lambda: explicit.Counts(2, 0),
        "holds nothing but 0": lambda: solve(np.zeros((2, 2)), 1),
        "table goes down to -1": lambda: solve([[-1.0]], 1),
        "table holds inf": lambda: solve([[np.inf]], 1),
        "k is 0; it must be a number above 0": lambda: solve([[1.0]], 0),
        "alpha is -1": lambda: solve([[1.0]], 1, -1),
        "features has 0 rows": lambda: explicit.average_norm(np.zeros((0, 2))),
        "a context needs a part": lambda: explicit.ContextReader(CIPHER),
        "radius is -1; it must be 0 or more": lambda: explicit.ContextReader(CIPHER, 1, -1),
        "ids holds 6": lambda: explicit.context_features([6], CIPHER, radius=1),
        "w is .2, 3.; it must be": lambda: attend(np.ones((1, 2)), np.ones((2, 3))),
        "it may have 1 to 2": lambda: attend(np.ones((3, 2)), np.ones((2, 2))),
        "the table has ids 0 to 5": lambda: explicit.attend_cached([6], table, np.ones((1, 1))),
        "ids are float64": lambda: explicit.attend_cached([0.5], table, np.ones((1, 1))),
        "vectors are .3,.; they must be .V, d.": lambda: explicit.compare_table(np.ones(3)),
        "a row that sums to 2": lambda: model_of(2 * CIPHER, 3, radius=1),
        "a model needs a context": lambda: model_of(CIPHER, 3),
        "block is -1": lambda: model_of(CIPHER, 3, block=-1),
        "kind is 'bag'; allowed are": lambda: explicit.Saffu("bag", 2, 3, 3),
        "ids are .3,.; they must be .B, T.": lambda: model([0, 1, 2]),
        "needs frozen ones": lambda: thawed(IDS, table),
        "table is .5, 5.": lambda: model(IDS, np.ones((5, 5))),
        "alpha is -1; it must be": lambda: explicit.warm_start(model, [IDS], -1),
        "there are 0 texts": lambda: explicit.warm_start(model, []),
        "ids holds 9": lambda: explicit.warm_start(model, [IDS + 4]),
        "block is .2,.; it must be": lambda: attend([1.0, 2.0], np.ones((2, 2))),
        "ids are one number": lambda: explicit.attend_cached(3, table, np.ones((1, 1))),
        "radii is empty": lambda: explicit.neighbour_vectors([0, 1], CIPHER, []),
        "window is 0": lambda: explicit.neighbour_vectors([0, 1], CIPHER, [0]),
        "T at least 2": lambda: explicit.warm_start(model, [IDS[:, :1]]),
        "2 bits tell at most": lambda: explicit.warm_start(model_of(CIPHER, 2, radius=2), [IDS]),
    }.items():
        with pytest.raises(InputError, match=sentence):
            call()


def test_the_part_is_named_by_the_package() -> None:
    assert minilm.explicit is explicit and "explicit" in dir(minilm)
