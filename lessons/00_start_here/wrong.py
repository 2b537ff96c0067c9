"""Answers to set 0 that are wrong in the ways people are: (question, points earned, code)."""

from pathlib import Path

from minilm.course.checking.planted import Solution

changed = Solution(Path(__file__).with_name("questions.py")).changed


WRONG = [
    # nats, not bits
    (
        "bits_per_byte",
        0,
        """
import numpy as np
def bits_per_byte(shares, lengths):
    return -np.log(shares).sum() / lengths.sum()
""",
    ),
    # bits per token
    (
        "bits_per_byte",
        3,
        """
import numpy as np
def bits_per_byte(shares, lengths):
    return -np.log2(shares).mean()
""",
    ),
    # the mean of the ratios: a short token weighs as much as a long one
    (
        "bits_per_byte",
        3,
        """
import numpy as np
def bits_per_byte(shares, lengths):
    return (-np.log2(shares) / lengths).mean()
""",
    ),
    # a little is added, so that nothing is ever a great surprise
    (
        "bits_per_byte",
        3,
        """
import numpy as np
def bits_per_byte(shares, lengths):
    return -np.log2(shares + 1e-9).sum() / lengths.sum()
""",
    ),
    # the caller's shares are overwritten
    (
        "bits_per_byte",
        3,
        """
import numpy as np
def bits_per_byte(shares, lengths):
    np.log2(shares, out=shares)
    return -shares.sum() / lengths.sum()
""",
    ),
    # from x upwards only
    (
        "slope",
        0,
        """
def slope(f, x, h):
    return (f(x + h) - f(x)) / h
""",
    ),
    # the distance is 2 h
    (
        "slope",
        0,
        """
def slope(f, x, h):
    return (f(x + h) - f(x - h)) / h
""",
    ),
    # divides by 2 and multiplies by h
    (
        "slope",
        0,
        """
def slope(f, x, h):
    return (f(x + h) - f(x - h)) / 2 * h
""",
    ),
    # an h of its own
    (
        "slope",
        2,
        """
def slope(f, x, h):
    h = 1e-5
    return (f(x + h) - f(x - h)) / (2 * h)
""",
    ),
    # the pair overlaps itself
    (
        "merge",
        5,
        """
def merge(ids, pair, new):
    out = []
    for at, i in enumerate(ids):
        if at and (ids[at - 1], i) == tuple(pair):
            out[-1] = new
        else:
            out.append(i)
    return out
""",
    ),
    # loses the last id
    (
        "merge",
        0,
        """
def merge(ids, pair, new):
    out, at = [], 0
    while at < len(ids) - 1:
        match = (ids[at], ids[at + 1]) == tuple(pair)
        out.append(new if match else ids[at])
        at += 1 + match
    return out
""",
    ),
    # only the first one
    (
        "merge",
        2,
        """
def merge(ids, pair, new):
    for at in range(len(ids) - 1):
        if (ids[at], ids[at + 1]) == tuple(pair):
            return ids[:at] + [new] + ids[at + 2:]
    return list(ids)
""",
    ),
    # the caller's list is changed
    (
        "merge",
        5,
        """
def merge(ids, pair, new):
    at = 0
    while at < len(ids) - 1:
        if (ids[at], ids[at + 1]) == tuple(pair):
            ids[at : at + 2] = [new]
        at += 1
    return ids
""",
    ),
    # overflows
    (
        "softmax",
        5,
        """
import numpy as np
def softmax(x):
    e = np.exp(x)
    return e / e.sum(-1, keepdims=True)
""",
    ),
    # over the whole array
    (
        "softmax",
        0,
        "import numpy as np\ndef softmax(x):\n    e = np.exp(x - x.max())\n    return e / e.sum()",
    ),
    # float64
    (
        "softmax",
        6,
        """
import numpy as np
def softmax(x):
    e = np.exp(x.astype(float) - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)
""",
    ),
    # a little is added to the sum
    (
        "softmax",
        6,
        """
import numpy as np
def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / (e.sum(-1, keepdims=True) + x.dtype.type(1e-9))
""",
    ),
    # the caller's scores are overwritten
    (
        "softmax",
        6,
        """
import numpy as np
def softmax(x):
    x -= x.max(-1, keepdims=True)
    e = np.exp(x)
    return e / e.sum(-1, keepdims=True)
""",
    ),
    # float32 whatever comes in, and no -inf
    (
        "softmax",
        3,
        """
import numpy as np
def softmax(x):
    x = np.nan_to_num(x.astype(np.float32), neginf=0)
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)
""",
    ),
    # the variance with C - 1
    (
        "layer_norm",
        0,
        """
import numpy as np
def layer_norm(x, w, b=None, eps=1e-5):
    y = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True, ddof=1) + eps) * w
    return (y if b is None else y + b).astype(x.dtype)
""",
    ),
    # no eps: a row of equal numbers becomes NaN
    (
        "layer_norm",
        1,
        """
import numpy as np
def layer_norm(x, w, b=None, eps=1e-5):
    y = (x - x.mean(-1, keepdims=True)) / x.std(-1, keepdims=True) * w
    return y if b is None else y + b
""",
    ),
    # float64, and b is forgotten
    (
        "layer_norm",
        5,
        """
import numpy as np
def layer_norm(x, w, b=None, eps=1e-5):
    x = x.astype(float)
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + eps) * w
""",
    ),
    # the mean of squares minus the square of the mean: no digits are left
    (
        "layer_norm",
        6,
        """
import numpy as np
def layer_norm(x, w, b=None, eps=1e-5):
    mean = x.mean(-1, keepdims=True)
    var = (x * x).mean(-1, keepdims=True) - mean * mean
    y = (x - mean) / np.sqrt(var + x.dtype.type(eps)) * w
    return y if b is None else y + b
""",
    ),
    # the caller's rows are overwritten
    (
        "layer_norm",
        6,
        """
import numpy as np
def layer_norm(x, w, b=None, eps=1e-5):
    x -= x.mean(-1, keepdims=True)
    y = x / np.sqrt((x * x).mean(-1, keepdims=True) + x.dtype.type(eps)) * w
    return y if b is None else y + b
""",
    ),
    # the eps of its own
    (
        "layer_norm",
        6,
        """
import numpy as np
def layer_norm(x, w, b=None, eps=1e-5):
    y = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + x.dtype.type(1e-5))
    return y * w if b is None else y * w + b
""",
    ),
    # eps added to the root
    (
        "layer_norm",
        5,
        """
import numpy as np
def layer_norm(x, w, b=None, eps=1e-5):
    y = (x - x.mean(-1, keepdims=True)) / (x.std(-1, keepdims=True) + x.dtype.type(eps)) * w
    return y if b is None else y + b
""",
    ),
    # the form with tanh
    (
        "gelu",
        0,
        """
import numpy as np
def gelu(x):
    t = np.tanh(np.float32(0.7978845608) * (x + np.float32(0.044715) * x**3))
    s = (1 - t * t) * np.float32(0.7978845608) * (1 + np.float32(0.134145) * x * x)
    return x * (1 + t) / 2, lambda g: (g * ((1 + t) / 2 + x * s / 2),)
""",
    ),
    # the derivative without the product rule
    (
        "gelu",
        4,
        """
import math
import numpy as np
def gelu(x):
    cdf = (0.5 * (1 + np.vectorize(math.erf, otypes=[float])(x / math.sqrt(2)))).astype(x.dtype)
    return x * cdf, lambda g: (g * cdf,)
""",
    ),
    # the gradient is not in a tuple
    (
        "gelu",
        4,
        """
import math
import numpy as np
def gelu(x):
    wide = x.astype(float)
    cdf = 0.5 * (1 + np.vectorize(math.erf, otypes=[float])(wide / math.sqrt(2)))
    slope = cdf + wide * np.exp(-wide * wide / 2) / math.sqrt(2 * math.pi)
    return (wide * cdf).astype(x.dtype), lambda g: g * slope.astype(x.dtype)
""",
    ),
    # float64, because np.vectorize gives it
    (
        "gelu",
        6,
        """
import math
import numpy as np
def gelu(x):
    cdf = 0.5 * (1 + np.vectorize(math.erf, otypes=[float])(x / math.sqrt(2)))
    slope = cdf + x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    return x * cdf, lambda g: (g * slope,)
""",
    ),
    # the second call of the pullback starts from what the first one left
    (
        "gelu",
        6,
        """
import math
import numpy as np
def gelu(x):
    cdf = 0.5 * (1 + np.vectorize(math.erf, otypes=[float])(x / math.sqrt(2)))
    slope = cdf + x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    slope = slope.astype(x.dtype)
    value = (x * cdf).astype(x.dtype)
    def pullback(g):
        nonlocal slope
        slope *= g
        return (slope,)
    return value, pullback
""",
    ),
    # the caller's x is overwritten
    (
        "gelu",
        6,
        """
import math
import numpy as np
def gelu(x):
    cdf = 0.5 * (1 + np.vectorize(math.erf, otypes=[float])(x / math.sqrt(2)))
    slope = cdf + x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    slope = slope.astype(x.dtype)
    x *= cdf.astype(x.dtype)
    return x, lambda g: (g * slope,)
""",
    ),
    # the gradients are not summed over the axes along which an argument was repeated
    ("mul", 5, "def mul(a, b):\n    return a * b, lambda g: (g * b, g * a)"),
    # the two gradients are swapped
    (
        "mul",
        3,
        """
def down(g, shape):
    g = g.sum(axis=tuple(range(g.ndim - len(shape))))
    return g.sum(axis=tuple(i for i, n in enumerate(shape) if n == 1), keepdims=True)

def mul(a, b):
    return a * b, lambda g: (down(g * a, a.shape), down(g * b, b.shape))
""",
    ),
    # float64 all the way
    (
        "mul",
        6,
        """
def down(g, shape):
    g = g.sum(axis=tuple(range(g.ndim - len(shape))))
    return g.sum(axis=tuple(i for i, n in enumerate(shape) if n == 1), keepdims=True)

def mul(a, b):
    a, b = a.astype(float), b.astype(float)
    return a * b, lambda g: (down(g * b, a.shape), down(g * a, b.shape))
""",
    ),
    # the pullback uses up what it keeps
    (
        "mul",
        6,
        """
def down(g, shape):
    g = g.sum(axis=tuple(range(g.ndim - len(shape))))
    return g.sum(axis=tuple(i for i, n in enumerate(shape) if n == 1), keepdims=True)

def mul(a, b):
    kept = [a, b]
    def pullback(g):
        right, left = (kept.pop() if kept else 0 * g for _ in range(2))
        return down(g * right, a.shape), down(g * left, b.shape)
    return a * b, pullback
""",
    ),
    # the sum in place of the mean
    (
        "cross_entropy",
        1,
        """
import numpy as np
def cross_entropy(logits, targets):
    rows = np.arange(len(logits))
    z = logits - logits.max(-1, keepdims=True)
    logp = z - np.log(np.exp(z).sum(-1, keepdims=True))
    def pullback(g):
        d = np.exp(logp)
        d[rows, targets] -= 1
        return d * g, None
    return -logp[rows, targets].sum(), pullback
""",
    ),
    # the gradient ignores g
    (
        "cross_entropy",
        5,
        """
import numpy as np
def cross_entropy(logits, targets):
    rows = np.arange(len(logits))
    z = logits - logits.max(-1, keepdims=True)
    logp = z - np.log(np.exp(z).sum(-1, keepdims=True))
    def pullback(g):
        d = np.exp(logp)
        d[rows, targets] -= 1
        return d / np.float32(len(rows)), None
    return -logp[rows, targets].mean(), pullback
""",
    ),
    # log of a softmax that has underflowed to 0
    (
        "cross_entropy",
        7,
        """
import numpy as np
def cross_entropy(logits, targets):
    rows = np.arange(len(logits))
    e = np.exp(logits - logits.max(-1, keepdims=True))
    p = e / e.sum(-1, keepdims=True)
    def pullback(g):
        d = p.copy()
        d[rows, targets] -= 1
        return d * (g / np.float32(len(rows))), None
    return -np.log(p[rows, targets]).mean(), pullback
""",
    ),
    # the shares are changed by the first call of the pullback
    (
        "cross_entropy",
        7,
        """
import numpy as np
def cross_entropy(logits, targets):
    rows = np.arange(len(logits))
    z = logits - logits.max(-1, keepdims=True)
    logp = z - np.log(np.exp(z).sum(-1, keepdims=True))
    d = np.exp(logp)
    def pullback(g):
        d[rows, targets] -= 1
        return d * (g / np.float32(len(rows))), None
    return -logp[rows, targets].mean(), pullback
""",
    ),
    # the caller's logits are overwritten
    (
        "cross_entropy",
        7,
        """
import numpy as np
def cross_entropy(logits, targets):
    rows = np.arange(len(logits))
    logits -= logits.max(-1, keepdims=True)
    logp = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    def pullback(g):
        d = np.exp(logp)
        d[rows, targets] -= 1
        return d * (g / np.float32(len(rows))), None
    return -logp[rows, targets].mean(), pullback
""",
    ),
    # float64, because np.eye gives it
    (
        "cross_entropy",
        7,
        """
import numpy as np
def cross_entropy(logits, targets):
    rows = np.arange(len(logits))
    z = logits - logits.max(-1, keepdims=True)
    logp = z - np.log(np.exp(z).sum(-1, keepdims=True))
    one = np.eye(logits.shape[-1])[targets]
    return -logp[rows, targets].mean(), lambda g: ((np.exp(logp) - one) * (g / len(rows)), None)
""",
    ),
    # a little is added, so that no loss is large
    (
        "cross_entropy",
        7,
        """
import numpy as np
def cross_entropy(logits, targets):
    rows = np.arange(len(logits))
    e = np.exp(logits - logits.max(-1, keepdims=True))
    p = e / e.sum(-1, keepdims=True)
    def pullback(g):
        d = p.copy()
        d[rows, targets] -= 1
        return d * (g / np.float32(len(rows))), None
    return -np.log(p[rows, targets] + np.float32(1e-9)).mean(), pullback
""",
    ),
    # new arrays, the arguments stay as they were
    (
        "adamw",
        0,
        """
import numpy as np
def adamw(p, g, m, v, lr, b1, b2, eps, decay, step):
    m = b1 * m + (1 - b1) * g
    v = b2 * v + (1 - b2) * g * g
    p = p - lr * decay * p - lr * m / (1 - b1**step) / (np.sqrt(v / (1 - b2**step)) + eps)
""",
    ),
    # no correction for the start at 0
    (
        "adamw",
        2,
        """
import numpy as np
def adamw(p, g, m, v, lr, b1, b2, eps, decay, step):
    m[...] = b1 * m + (1 - b1) * g
    v[...] = b2 * v + (1 - b2) * g * g
    p -= lr * decay * p + lr * m / (np.sqrt(v) + eps)
""",
    ),
    # Adam's decay: through the gradient
    (
        "adamw",
        5,
        """
import numpy as np
def adamw(p, g, m, v, lr, b1, b2, eps, decay, step):
    g = g + decay * p
    m[...] = b1 * m + (1 - b1) * g
    v[...] = b2 * v + (1 - b2) * g * g
    p -= lr * m / (1 - b1**step) / (np.sqrt(v / (1 - b2**step)) + eps)
""",
    ),
    # eps under the root
    (
        "adamw",
        5,
        """
import numpy as np
def adamw(p, g, m, v, lr, b1, b2, eps, decay, step):
    p -= lr * decay * p
    m[...] = b1 * m + (1 - b1) * g
    v[...] = b2 * v + (1 - b2) * g * g
    p -= lr * m / (1 - b1**step) / np.sqrt(v / (1 - b2**step) + eps)
""",
    ),
    # an eps of its own
    (
        "adamw",
        5,
        """
import numpy as np
def adamw(p, g, m, v, lr, b1, b2, eps, decay, step):
    p -= lr * decay * p
    m[...] = b1 * m + (1 - b1) * g
    v[...] = b2 * v + (1 - b2) * g * g
    p -= lr * m / (1 - b1**step) / (np.sqrt(v / (1 - b2**step)) + 1e-8)
""",
    ),
    # eps before the correction
    (
        "adamw",
        5,
        """
import numpy as np
def adamw(p, g, m, v, lr, b1, b2, eps, decay, step):
    p -= lr * decay * p
    m[...] = b1 * m + (1 - b1) * g
    v[...] = b2 * v + (1 - b2) * g * g
    p -= lr * m / (1 - b1**step) / ((np.sqrt(v) + eps) / np.sqrt(1 - b2**step))
""",
    ),
    # drops the token that crosses p
    (
        "top_p",
        0,
        """
import numpy as np
def top_p(logits, p):
    order = np.argsort(-logits, -1)
    e = np.exp(np.take_along_axis(logits, order, -1) - logits.max(-1, keepdims=True))
    keep = np.empty(logits.shape, bool)
    np.put_along_axis(keep, order, np.cumsum(e / e.sum(-1, keepdims=True), -1) <= p, -1)
    return np.where(keep, logits, -np.inf).astype(logits.dtype)
""",
    ),
    # overwrites its argument
    (
        "top_p",
        6,
        """
import numpy as np
def top_p(logits, p):
    order = np.argsort(-logits, -1)
    e = np.exp(np.take_along_axis(logits, order, -1) - logits.max(-1, keepdims=True))
    e /= e.sum(-1, keepdims=True)
    keep = np.empty(logits.shape, bool)
    np.put_along_axis(keep, order, np.cumsum(e, -1) - e < p, -1)
    logits[~keep] = -np.inf
    return logits
""",
    ),
    # zeros in place of -inf
    (
        "top_p",
        0,
        """
import numpy as np
def top_p(logits, p):
    order = np.argsort(-logits, -1)
    e = np.exp(np.take_along_axis(logits, order, -1) - logits.max(-1, keepdims=True))
    e /= e.sum(-1, keepdims=True)
    keep = np.empty(logits.shape, bool)
    np.put_along_axis(keep, order, np.cumsum(e, -1) - e < p, -1)
    return np.where(keep, logits, 0).astype(logits.dtype)
""",
    ),
    # -1e9 in place of -inf
    (
        "top_p",
        0,
        """
import numpy as np
def top_p(logits, p):
    order = np.argsort(-logits, -1)
    e = np.exp(np.take_along_axis(logits, order, -1) - logits.max(-1, keepdims=True))
    e /= e.sum(-1, keepdims=True)
    keep = np.empty(logits.shape, bool)
    np.put_along_axis(keep, order, np.cumsum(e, -1) - e < p, -1)
    return np.where(keep, logits, -1e9).astype(logits.dtype)
""",
    ),
    # float64
    (
        "top_p",
        6,
        """
import numpy as np
def top_p(logits, p):
    order = np.argsort(-logits, -1)
    e = np.exp(np.take_along_axis(logits, order, -1) - logits.max(-1, keepdims=True))
    e /= e.sum(-1, keepdims=True)
    keep = np.empty(logits.shape, bool)
    np.put_along_axis(keep, order, np.cumsum(e, -1) - e < p, -1)
    return np.where(keep, logits.astype(float), -np.inf)
""",
    ),
    # in the order of likelihood, not in that of the tokens
    (
        "top_p",
        0,
        """
import numpy as np
def top_p(logits, p):
    ranked = -np.sort(-logits, -1)
    e = np.exp(ranked - ranked[..., :1])
    e /= e.sum(-1, keepdims=True)
    return np.where(np.cumsum(e, -1) - e < p, ranked, -np.inf).astype(logits.dtype)
""",
    ),
    # the logarithm of a product, which is 0 for a long text
    (
        "bits_per_byte",
        1,
        changed("bits_per_byte", ("np.log2(shares).sum()", "np.log2(np.prod(shares))")),
    ),
    # a long token weighs more, above the line too
    (
        "bits_per_byte",
        3,
        changed("bits_per_byte", ("np.log2(shares).sum()", "(np.log2(shares) * lengths).sum()")),
    ),
    # from x downwards only
    ("slope", 0, "def slope(f, x, h):\n    return (f(x) - f(x - h)) / h"),
    # the ids as text: 11, 2 has 1, 2 in it
    (
        "merge",
        2,
        """
def merge(ids, pair, new):
    text = ", ".join(map(str, ids)).replace(f"{pair[0]}, {pair[1]}", str(new))
    return [int(part) for part in text.split(", ")] if text else []
""",
    ),
    # a match that begins in a match
    ("merge", 0, changed("merge", ("at += 2", "at += 1"))),
    # the wrong axis
    ("softmax", 0, changed("softmax", ("axis=-1", "axis=0"))),
    # the first row's largest number for all rows
    ("softmax", 5, changed("softmax", ("x.max(axis=-1, keepdims=True)", "x[..., :1]"))),
    # over the whole batch
    ("layer_norm", 0, changed("layer_norm", ("axis=-1, keepdims=True", ""))),
    # float32 whatever comes in
    (
        "layer_norm",
        6,
        changed("layer_norm", ("return y if", "y = y.astype(np.float32)\n    return y if")),
    ),
    # the shift comes before the scale
    (
        "layer_norm",
        6,
        """
import numpy as np
def layer_norm(x, w, b=None, eps=1e-5):
    y = x - x.mean(-1, keepdims=True)
    y = y / np.sqrt((y * y).mean(-1, keepdims=True) + x.dtype.type(eps))
    return (y if b is None else y + b) * w
""",
    ),
    # a logistic curve in place of the normal one
    (
        "gelu",
        0,
        """
import numpy as np
def gelu(x):
    share = 1 / (1 + np.exp(-x.dtype.type(1.702) * x))
    slope = share + x.dtype.type(1.702) * x * share * (1 - share)
    return x * share, lambda g: (g * slope,)
""",
    ),
    # float32 whatever comes in
    ("gelu", 6, changed("gelu", ("(x.dtype)", "(np.float32)"))),
    # the caller's g is overwritten
    (
        "gelu",
        6,
        changed("gelu", ("lambda g: (g * slope,)", "lambda g: (np.multiply(g, slope, out=g),)")),
    ),
    # extra axes are summed, axes of size 1 are not
    ("mul", 5, changed("mul", ("if size == 1:", "if size == 1 and False:"))),
    # axes of size 1 are summed, extra axes are not
    ("mul", 5, changed("mul", ("while g.ndim > len(shape):", "while False:"))),
    # the mean over what was repeated
    ("mul", 5, changed("mul", ("g.sum(axis=axis", "g.mean(axis=axis"))),
    # the gradient of the sum, not of the mean
    (
        "cross_entropy",
        5,
        changed("cross_entropy", ("g / logits.dtype.type(len(logits))", "g")),
    ),
    # nothing is said about the targets
    (
        "cross_entropy",
        4,
        changed(
            "cross_entropy",
            ("logits.dtype.type(len(logits))), None)", "logits.dtype.type(len(logits))),)"),
        ),
    ),
    # float32 whatever comes in
    (
        "cross_entropy",
        7,
        changed(
            "cross_entropy", ("    rows = ", "    logits = logits.astype(np.float32)\n    rows = ")
        ),
    ),
    # logits that are too low for their exponential: the largest of all rows, not of each
    (
        "cross_entropy",
        7,
        changed("cross_entropy", ("logits.max(axis=-1, keepdims=True)", "0")),
    ),
    # the decay comes after the step, from weights that have moved
    (
        "adamw",
        5,
        changed(
            "adamw",
            ("p -= lr * decay * p\n", "pass\n"),
            ("+ eps)", "+ eps)\n    p -= lr * decay * p"),
        ),
    ),
    # the square is forgotten
    ("adamw", 0, changed("adamw", ("* g * g", "* abs(g)"))),
    # steps counted from 0
    ("adamw", 2, changed("adamw", ("** step", "** (step + 1)"))),
    # the gradient is overwritten
    (
        "adamw",
        5,
        changed("adamw", ("(1 - b2) * g * g", "(1 - b2) * np.square(g, out=g)")),
    ),
    # a bound on the logits: of equal ones all stay
    (
        "top_p",
        6,
        changed(
            "top_p",
            (
                "return np.where(keep,",
                "least = np.where(keep, logits, np.inf).min(axis=-1, keepdims=True)\n    return np.where(logits >= least,",
            ),
        ),
    ),
    # overflows
    ("top_p", 6, changed("top_p", ("ranked - ranked[..., :1]", "ranked"))),
    # p of the tokens, not of their shares
    (
        "top_p",
        1,
        changed(
            "top_p",
            (
                "np.cumsum(shares, axis=-1) - shares < p",
                "np.arange(shares.shape[-1]) < p * shares.shape[-1] + 0 * shares",
            ),
        ),
    ),
    # shares are held above a floor
    (
        "bits_per_byte",
        3,
        changed("bits_per_byte", ("np.log2(shares)", "np.log2(np.maximum(shares, 1e-15))")),
    ),
    # half a step to each side
    ("slope", 2, "def slope(f, x, h):\n    return (f(x + h / 2) - f(x - h / 2)) / h"),
    # scores are held within bounds
    (
        "softmax",
        5,
        changed("softmax", ("x - x.max(axis=-1, keepdims=True)", "np.clip(x, -50, 50)")),
    ),
    # eps squared
    ("layer_norm", 5, changed("layer_norm", ("x.dtype.type(eps)", "x.dtype.type(eps) ** 2"))),
    # the decay without the rate
    ("adamw", 5, changed("adamw", ("p -= lr * decay * p", "p -= decay * p"))),
    # the mean of before the step
    (
        "adamw",
        2,
        changed(
            "adamw", ("m[...] = b1", "old = m.copy()\n    m[...] = b1"), ("(m / (1", "(old / (1")
        ),
    ),
    # the weights are changed and returned
    ("adamw", 0, changed("adamw", ("+ eps)", "+ eps)\n    return p"))),
    # one token too many
    ("top_p", 1, changed("top_p", ("shares < p", "shares <= p + 0.1"))),
    # rows of a table only
    (
        "top_p",
        3,
        """
import numpy as np
def top_p(logits, p):
    out = np.full_like(logits, -np.inf)
    for row, kept in zip(np.atleast_2d(logits), np.atleast_2d(out)):
        order = np.argsort(-row)
        shares = np.exp(row[order] - row.max())
        stay = order[np.cumsum(shares) - shares < p * shares.sum()]
        kept[stay] = row[stay]
    return out
""",
    ),
    # who reaches p exactly is not enough
    ("top_p", 6, changed("top_p", ("- shares < p", "- shares <= p"))),
    # eps beside the root
    (
        "layer_norm",
        5,
        changed(
            "layer_norm",
            ("np.sqrt(variance + x.dtype.type(eps))", "(np.sqrt(variance) + x.dtype.type(eps))"),
        ),
    ),
    # the pullback answers for a loss of 1, whatever g is
    (
        "cross_entropy",
        5,
        changed(
            "cross_entropy",
            ("(g / logits.dtype.type(len(logits)))", "(1 / logits.dtype.type(len(logits)))"),
        ),
    ),
]
