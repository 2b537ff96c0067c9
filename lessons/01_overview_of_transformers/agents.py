"""A small agent: it stores numbers, looks them up, adds with a tool, and says a sum."""

import re
from collections import Counter

import numpy as np

from minilm import backend
from minilm.course import interact
from minilm.inference import generate
from minilm.models import Config, Transformer

PEOPLE = "Ada Bo Cy Di Eve Flo Gus Hal Ida Jo Kim Lou Max Ned Oz Pat".split()
WORDS = [*"0123456789", *PEOPLE, *"alone tools tell ask store look add say = .".split()]
NUMBER = {word: i for i, word in enumerate(WORDS)}
STOP = NUMBER["."]
LONGEST = 33  # tokens of a script
EXAMPLE = "tools ask Bo Flo look Bo . = 4 2 look Flo . = 7 7 add 4 2 7 7 . = 1 1 9 say 1 1 9 ."


def encode(text: str) -> list[int]:
    """Words to ids."""
    return [NUMBER[word] for word in text.split()]


def digits(n: int, width: int = 2) -> str:
    """42 -> "4 2": every digit is a word."""
    return " ".join(f"{n:0{width}d}")


def by_line(text: str) -> str:
    """A transcript with each action and each answer on a line of its own."""
    return re.sub(r" (?=look|add|say|=)", "\n", text)


def model(seed: int) -> Transformer:
    """A two-layer GPT that knows the 36 words."""
    size = {"layers": 2, "heads": 4, "channels": 48, "ff": 96, "positions": "rope"}
    return Transformer(Config(len(WORDS), context=64, init_std=0.1, **size), seed=seed)


def script(r: np.random.Generator, kind: str) -> list[tuple[str, bool]]:
    """What the model learns from: lines of (text, whether the model says it)."""
    (a, b), (x, y) = r.choice(PEOPLE, 2, replace=False), r.integers(0, 100, 2)
    if kind == "tell":
        return [(f"tell {a} {digits(x)}", False), (f"store {a} {digits(x)} .", True)]
    said = [(f"{kind} ask {a} {b}", False)]
    for name, value in ((a, x), (b, y)):
        said += [(f"look {name} .", True), (f"= {digits(value)}", False)]
    if kind == "tools":
        said += [(f"add {digits(x)} {digits(y)} .", True), (f"= {digits(x + y, 3)}", False)]
    return [*said, (f"say {digits(x + y, 3)} .", True)]


def scripts(seed: int, step: int, count: int = 48) -> tuple[np.ndarray, np.ndarray]:
    """Ids and targets of a batch; only the model's own lines are scored."""
    r = backend.rng(seed, "scripts", step)
    ids, mine = np.full((count, LONGEST), STOP, np.int32), np.zeros((count, LONGEST), bool)
    for row, kind in enumerate(["tell", "alone", "tools", "tools"] * (count // 4)):
        said = [(token, own) for text, own in script(r, kind) for token in encode(text)]
        ids[row, : len(said)], mine[row, : len(said)] = zip(*said, strict=True)
    return ids[:, :-1], np.where(mine, ids, -100)[:, 1:]


def act(action: list[str], memory: dict[str, str]) -> str | None:
    """Carry out one action; what the world says, or None where it says nothing."""
    match action:
        case ["store", name, *number] if len(number) == 2:
            memory[name] = "".join(number)
        case ["look", name] if name in memory:
            return "= " + " ".join(memory[name])
        case ["add", *d] if len(d) == 4 and "".join(d).isdigit():
            return "= " + digits(int(d[0] + d[1]) + int(d[2] + d[3]), 3)
    return None


def run(agent: Transformer, prompts: list[str], memory: dict[str, str], seed: int) -> list[str]:
    """Several transcripts at once; each ends when the world has no answer."""
    texts, live = [encode(prompt) for prompt in prompts], list(range(len(prompts)))
    for turn in range(6):
        new = generate(agent, [texts[k] for k in live], 8, stop=[STOP], seed=100 * seed + turn)
        going = []
        for k, line in zip(live, new, strict=True):
            answer = act([WORDS[i] for i in line if i != STOP], memory)
            texts[k] = texts[k] + line + encode(answer or "")
            going += [k] if answer else []
        live = going
        if not live:
            break
    return [" ".join(WORDS[i] for i in text) for text in texts]


def fits(text: str) -> bool:
    """Whether the lines of a transcript fit each other, whoever may be right."""
    people = text.split(" ask ")[1].split()[:2]
    looked = re.findall(r"look (\w+) \. = (\d) (\d)", text)
    added = re.findall(r"add (\d) (\d) (\d) (\d) \. = (\d) (\d) (\d) say (\d) (\d) (\d) \.", text)
    if [name for name, *_ in looked] != people or len(added) != 1:
        return False
    found, total, said = added[0][:4], added[0][4:7], added[0][7:]
    return found == tuple("".join(a + b for _, a, b in looked)) and total == said


def reflect(agent: Transformer, first: list[str], again: list[list[str]]) -> list[str]:
    """What does not fit is replaced by the next attempt, as long as there is one."""
    texts = list(first)
    for attempt in again:
        texts = [old if fits(old) else new for old, new in zip(texts, attempt, strict=True)]
    return texts


def vote(attempts: list[list[str]]) -> list[str]:
    """The commonest last line of each question's attempts."""
    said = [[text.rpartition("say")[2] for text in texts] for texts in zip(*attempts, strict=True)]
    return ["say" + Counter(lines).most_common(1)[0][0] for lines in said]


def examine(agent: Transformer, seed: int, questions: int = 40) -> dict[str, float]:
    """Right answers in %, for each way of working; and how many numbers it stored right."""
    r, memory = backend.rng(seed, "exam"), {}
    told = {name: int(r.integers(0, 100)) for name in PEOPLE}
    run(agent, [f"tell {name} {digits(n)}" for name, n in told.items()], memory, seed)
    pairs = [r.choice(PEOPLE, 2, replace=False) for _ in range(questions)]
    sums = [digits(told[a] + told[b], 3) for a, b in pairs]
    alone, tools = ([f"{kind} ask {a} {b}" for a, b in pairs] for kind in ("alone", "tools"))
    first, *again = (run(agent, tools, memory, seed + 1000 * attempt) for attempt in range(3))
    ways = {
        "no memory": run(agent, tools, {}, seed),
        "memory": run(agent, alone, memory, seed),
        "+ calculator": first,
        "+ vote": vote([first, *again]),
        "+ reflection": reflect(agent, first, again),
    }
    marks = {
        name: 100
        * float(np.mean([t.endswith(f"say {s} .") for t, s in zip(texts, sums, strict=True)]))
        for name, texts in ways.items()
    }
    return {**marks, "stored": sum(memory.get(name) == f"{n:02d}" for name, n in told.items())}


def ask(
    agent: Transformer, first: str, second: str, calculator: bool, memory: bool, seed: int
) -> str:
    """One question, with or without its tool and its memory: the transcript by line."""
    store = {name: f"{7 * k % 100:02d}" for k, name in enumerate(PEOPLE)} if memory else {}
    prompt = f"{'tools' if calculator else 'alone'} ask {first} {second}"
    return by_line(run(agent, [prompt], store, seed)[0])


def talk(agent: Transformer) -> None:
    """Ask the agent oneself: boxes for its calculator and its memory."""
    interact(
        lambda **asked: print(ask(agent, **asked)),
        first=PEOPLE[1:],
        second=PEOPLE[5:],
        calculator=True,
        memory=True,
        seed=(0, 20, 1, 0),
    )
