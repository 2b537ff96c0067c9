"""Answers to set 05b that are right and have another shape than the solution's: (question, code)."""

RIGHT = [
    # one cache, twice
    (
        "kv_bytes",
        """
def kv_bytes(layers, heads, size, number):
    keys = layers * (heads * size) * number
    return keys + keys
""",
    ),
    # the closed form
    (
        "tokens_per_round",
        """
def tokens_per_round(a, k):
    if a == 1:
        return k + 1.0
    return (1 - a ** (k + 1)) / (1 - a)
""",
    ),
    # Horner
    (
        "tokens_per_round",
        """
def tokens_per_round(a, k):
    total = 1.0
    for _ in range(k):
        total = 1 + a * total
    return total
""",
    ),
    # place by place
    (
        "through_table",
        """
import numpy as np

def through_table(pages, table, length):
    size = pages.shape[1]
    rows = [pages[table[place // size], place % size] for place in range(length)]
    return np.array(rows)
""",
    ),
    # row by row
    (
        "to_levels",
        """
import numpy as np

def to_levels(x):
    rows = x.reshape(-1, x.shape[-1])
    codes = np.zeros(rows.shape, np.uint8)
    step, low = np.zeros((len(rows), 1), x.dtype), np.zeros((len(rows), 1), x.dtype)
    for i, row in enumerate(rows):
        low[i] = row.min()
        step[i] = (row.max() - row.min()) / 255
        if step[i] > 0:
            codes[i] = np.floor((row - low[i]) / step[i] + 0.5)
    kept = x.shape[:-1] + (1,)
    return codes.reshape(x.shape), step.reshape(kept), low.reshape(kept)
""",
    ),
    # recursion
    (
        "longest_known",
        """
def longest_known(tree, ids):
    ids = tuple(ids)
    if not ids or ids[0] not in tree:
        return 0
    run, below = tree[ids[0]]
    same = 0
    while same < min(len(run), len(ids)) and run[same] == ids[same]:
        same += 1
    if same < len(run):
        return same
    return same + longest_known(below, ids[same:])
""",
    ),
    # two passes
    (
        "plan",
        """
def plan(unread, room):
    counts = []
    for n in unread:
        take = 1 if n == 1 and room > 0 else 0
        counts.append(take)
        room -= take
    for i, n in enumerate(unread):
        if n > 1:
            counts[i] = min(n, room)
            room = room - counts[i]
    return counts
""",
    ),
    # a while loop, and a draw by hand
    (
        "accept",
        """
import numpy as np

def accept(guessed, q, p, u):
    out, i = [], 0
    while i < len(guessed) and u[i] < p[i][guessed[i]] / q[i][guessed[i]]:
        out.append(guessed[i])
        i += 1
    weights = p[i] if i == len(guessed) else np.clip(p[i] - q[i], 0, None)
    point, total = u[len(u) - 1] * weights.sum(), 0.0
    for token, weight in enumerate(weights):
        total += weight
        if total > point:
            break
    return out + [token]
""",
    ),
    # the case of a copy first
    (
        "place_for",
        """
def place_for(table, place, size, free, holders):
    number = place // size
    if number < len(table) and holders[table[number]] > 1:
        new, old = free.pop(), table[number]
        holders.update({old: holders[old] - 1, new: 1})
        table[number:number + 1] = [new]
        return new, old
    if number == len(table):
        new = free.pop()
        holders[new] = 1
        table += [new]
    return table[number], None
""",
    ),
]
