"""Steps of alignment beside PyTorch's, and bytes beside the formula that promises them.

`minilm bench align` prints the table. Both sides of a step have the same GPT with the same weights
and see the same padded batch of conversations, of which only the answers are scored; before
anything is timed, their gradients are compared. Of preferences the losses are compared, and of
rollouts how likely both find the same answers. A PPO iteration is all of it: answers are drawn,
scored and read by both models, advantages found, and four steps taken.
"""

from collections.abc import Callable, Iterator

import numpy as np

from minilm import backend, nn
from minilm.align.answers import Answers, known_logp, make_pairs
from minilm.align.losses import dpo_loss
from minilm.align.ppo import Policing, train_ppo
from minilm.align.preferences import Referred, preference_objective, refer
from minilm.align.rollouts import roll_out
from minilm.backend import IGNORE, rng
from minilm.bench import align_twins
from minilm.bench.peers import find_torch, twin
from minilm.bench.rows import Row, row_of
from minilm.bench.timing import best_threads, raced, thread_counts, timed_row, use_threads
from minilm.bench.training import PEER, SIZES, Size, check_equal, our_step, torch_step
from minilm.models import Transformer

GOAL = 1.5  # of a step, at the sizes of the lessons
NEAR = 0.99  # of the bytes that the formula gives
ROWS, ROUNDS = 64, 2  # answers of a rollout; iterations of a call
LR = 3e-5
EQUAL = 1e-4  # nats of an answer
GROUP, SECOND = 64, 256  # weights that share a scale; scales that share one of theirs


class Chats(Size):
    """A model, and a batch of conversations for it."""

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """Ids and targets, int64 (B, T): random lengths, the second half of each an answer."""
        r = rng(0, "bench", "chats")
        ids = r.integers(0, self.vocab_size, (self.batch, self.context + 1))
        lengths = r.integers(self.context // 3, self.context + 1, self.batch)[:, None]
        place = np.arange(1, self.context + 1)
        learnt = (place > lengths // 2) & (place <= lengths)
        return np.ascontiguousarray(ids[:, :-1]), np.where(learnt, ids[:, 1:], IGNORE)


def sft_rows(names: tuple[str, ...], rounds: int) -> Iterator[Row]:
    """A step of supervised fine-tuning: AdamW on all weights, loss on the answers."""
    torch = find_torch()
    for name in names:
        size = Chats(*SIZES[name])
        for threads in thread_counts():
            use_threads(threads)
            model, theirs, peer = Transformer(size.config()), None, PEER
            if torch is not None:
                other = twin(model)
                check_equal(f"SFT, {name}", model, other, size)
                theirs = torch_step(other, *size.data())
                used = best_threads(theirs, threads)
                peer = f"{PEER}, {used} thread{'s' * (used > 1)}"
            title = f"SFT step, {name}, {threads} thread{'s' * (threads > 1)}"
            ours = our_step(model, *size.data())
            yield timed_row(title, "ms", ours, theirs, peer, GOAL, rounds)


def random_answers(size: Size, rows: int, stream: str) -> Answers:
    """Prompts of a quarter of the context, and answers that fill it."""
    ids = rng(0, "bench", stream).integers(0, size.vocab_size, (rows, size.context))
    said = np.zeros(ids.shape, bool)
    said[:, size.context // 4 :] = True
    return Answers(ids, said)


def check_alike(name: str, ours: np.ndarray, theirs: np.ndarray) -> None:
    """Refuse to go on where both sides do not find the same.

    Raises:
        AssertionError: they do not.
    """
    apart = float(np.abs(ours - theirs).max())
    if not apart <= EQUAL:
        raise AssertionError(
            f"{name}: PyTorch differs by {apart:.1e} nats, more than {EQUAL:.0e}, so nothing was "
            "timed"
        )


def our_dpo(model: Transformer, batch: Referred) -> Callable[[], float]:
    """One step as `train_preferences` takes it."""
    from itertools import repeat

    from minilm import optim
    from minilm.train import choose_engine, examples

    optimizer = optim.AdamW(model.parameters(), lr=LR, betas=(0.9, 0.95), weight_decay=0.0)
    engine = choose_engine(model, optimizer, preference_objective(dpo_loss), examples)
    source = engine.feed(repeat(batch))
    model.train()

    def step() -> float:
        loss = engine.gradients(source, 0)
        engine.update(1.0)
        return loss

    return step


def raced_row(
    title: str,
    unit: str,
    work: float | None,
    sides: tuple[Callable[[], object], Callable[[], object] | None],
    threads: int,
    rounds: int,
) -> Row:
    """A row of ours on some threads against PyTorch on the number that suits it best."""
    ours, theirs = sides
    peer = PEER
    if theirs is not None:
        used = best_threads(theirs, threads)
        peer = f"{PEER}, {used} thread{'s' * (used > 1)}"
    title = f"{title}, {threads} thread{'s' * (threads > 1)}"
    if work is None:
        return timed_row(title, unit, ours, theirs, peer, GOAL, rounds)
    race, count = raced(ours, theirs, rounds)
    return row_of(title, unit, work * count, race, peer, GOAL)


def dpo_rows(names: tuple[str, ...], rounds: int) -> Iterator[Row]:
    """A step of DPO on pairs whose reference was asked before, AdamW on all weights."""
    torch = find_torch()
    for name in names:
        size = SIZES[name]
        sides = (random_answers(size, size.batch, side) for side in ("better", "worse"))
        pairs = make_pairs(*sides)
        for threads in thread_counts():
            use_threads(threads)
            model, theirs = Transformer(size.config()), None
            batch = refer(pairs, Transformer(size.config(), seed=1))
            if torch is not None:
                rest = pairs, batch.better, batch.worse
                loss = align_twins.dpo_loss(align_twins.Policy(model), *rest).item()
                mine = preference_objective(dpo_loss)(model, batch).item()
                check_alike(f"DPO, {name}", np.array(mine), np.array(loss))
                theirs = align_twins.dpo_step(model, *rest, LR)
            yield raced_row(
                f"DPO step, {name}", "ms", None, (our_dpo(model, batch), theirs), threads, rounds
            )


def rollout_rows(names: tuple[str, ...], rounds: int) -> Iterator[Row]:
    """Answers drawn with a cache, from prompts of a quarter of the context to its end."""
    torch = find_torch()
    for name in names:
        size = SIZES[name]
        asked = random_answers(size, ROWS, "prompts").ids[:, : size.context // 4]
        tokens = size.context - asked.shape[1]
        model, theirs = Transformer(size.config()).eval(), None
        if torch is not None:
            policy = align_twins.Policy(model)
            told = random_answers(size, ROWS, "told")
            with torch.no_grad():
                logp = policy.logp(*align_twins.tensors_of(told))[0].numpy()
            check_alike(f"rollouts, {name}", known_logp(model, told), logp)
            prompts = torch.from_numpy(asked.copy())

            def theirs(policy=policy, prompts=prompts, tokens=tokens) -> object:
                return policy.write(prompts, tokens)

        def ours(model=model, asked=asked, tokens=tokens) -> object:
            return roll_out(model, list(asked), tokens)

        for threads in thread_counts():
            use_threads(threads)
            title = f"rollouts, {name}, {ROWS} answers"
            work = ROWS * tokens
            yield raced_row(title, "tokens/s", work, (ours, theirs), threads, rounds)


def small_ids(answers: Answers) -> np.ndarray:
    """A reward that costs next to nothing: the share of ids of an answer below 32."""
    return ((answers.ids < 32) & answers.said).sum(1) / answers.lengths


def ppo_rows(names: tuple[str, ...], rounds: int) -> Iterator[Row]:
    """A whole PPO iteration: 64 answers with a value head, two epochs of two steps."""
    torch, how = find_torch(), Policing()
    for name in names:
        size = SIZES[name]
        asked = random_answers(size, ROWS, "prompts").ids[:, : size.context // 4]
        tokens = size.context - asked.shape[1]
        for threads in thread_counts():
            use_threads(threads)
            model, ref = (Transformer(size.config()) for _ in range(2))

            def ours(model=model, ref=ref, asked=asked, tokens=tokens) -> object:
                prompts = list(asked)
                settings = {"how": how, "lr": LR, "progress": False}
                return train_ppo(
                    model, ref, small_ids, lambda _: prompts, tokens, ROUNDS, **settings
                )

            theirs = None
            if torch is not None:
                rest = asked, tokens, ROUNDS, how, LR
                theirs = align_twins.ppo_rounds(model, ref, small_ids, *rest)
            title = f"PPO iteration, {name}, {ROWS} answers"
            yield raced_row(title, "iterations/s", ROUNDS, (ours, theirs), threads, rounds)


def promised_bits() -> float:
    """Bits of a weight in NF4 with scales rounded twice (QLoRA, arXiv 2305.14314, section 3)."""
    return 4 + 8 / GROUP + 32 / (GROUP * SECOND)


def stored_bits(model: Transformer) -> float:
    """Bits that a weight of a model's quantized maps takes as they are held."""
    maps = [m for m in model.stack.modules() if isinstance(m, nn.QuantizedLinear)]
    held = sum(b.data.nbytes for m in maps for _, b in m.named_buffers())
    return 8 * held / sum(m.in_features * m.out_features for m in maps)


def bytes_rows(names: tuple[str, ...]) -> Iterator[Row]:
    """What frozen weights take in 4 bits, beside the formula."""
    for name in names:
        model = Transformer(SIZES[name].config())
        nn.quantize_maps(model.stack, 4, GROUP, double=True)
        ours, wanted = stored_bits(model), promised_bits()
        ratio = wanted / ours
        rest = ratio, (ratio, ratio), NEAR, ratio >= NEAR
        yield Row(f"QLoRA, bits of a frozen weight, {name}", "bit", ours, wanted, "formula", *rest)


def run(quick: bool = False) -> Iterator[Row]:
    """Each row as it is measured."""
    before = backend.threads()
    find_torch()  # loaded now, so that the thread counts set below hold for it too
    backend.keep_freed_memory()
    try:
        sizes, rounds = ("micro", "tiny"), 5 if quick else 15
        yield from sft_rows(sizes, rounds)
        yield from dpo_rows(sizes, rounds)
        yield from rollout_rows(sizes, 3 if quick else 9)
        yield from ppo_rows(sizes, 3 if quick else 9)
        yield from bytes_rows(("tiny", "small"))
    finally:
        use_threads(before)
