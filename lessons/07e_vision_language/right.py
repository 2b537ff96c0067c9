"""Answers to set 07e that are right and have another shape than the solution's: (question, code)."""

START = "import math\nimport numpy as np\n"

RIGHT = [
    # one reshape
    (
        "patchify",
        """
def patchify(img, p):
    C, H, W = img.shape
    cut = img.reshape(C, H // p, p, W // p, p).transpose(1, 3, 0, 2, 4)
    return cut.reshape(-1, C * p * p)
""",
    ),
    # one reshape back
    (
        "unpatchify",
        """
def unpatchify(tokens, p, H, W):
    cut = tokens.reshape(H // p, W // p, -1, p, p).transpose(2, 0, 3, 1, 4)
    return cut.reshape(-1, H, W)
""",
    ),
    # whole numbers only, cut out first
    (
        "crop_zoom",
        """
def crop_zoom(img, box, size):
    part = img[:, box[0] : box[2], box[1] : box[3]]
    C, h, w = part.shape
    out = np.empty((C, size, size), img.dtype)
    for i in range(size):
        for j in range(size):
            out[:, i, j] = part[:, (2 * i + 1) * h // (2 * size), (2 * j + 1) * w // (2 * size)]
    return out
""",
    ),
    # a row and a column at a time
    (
        "info_nce",
        """
def info_nce(I, T, tau):
    def unit(x):
        return x / np.sqrt((x**2).sum(-1, keepdims=True))
    s = np.einsum("ac,bc->ab", unit(I), unit(T)) / tau
    total = 0.0
    for i in range(len(s)):
        for row in (s[i], s[:, i]):
            total += np.log(np.exp(row - row.max()).sum()) + row.max() - s[i, i]
    return total / len(s) / 2
""",
    ),
    # in place of the matrix product, einsum
    (
        "mlp2x",
        """
def mlp2x(x, W1, b1, W2, b2):
    def gelu(z):
        return z / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z * z * z)))
    return np.einsum("tf,cf->tc", gelu(np.einsum("ti,fi->tf", x, W1) + b1), W2) + b2
""",
    ),
    # a linear map of the four patches side by side
    (
        "stride_conv_proj",
        """
def stride_conv_proj(grid, W):
    k, rows = W.shape[-1], []
    for r in range(0, len(grid), k):
        for q in range(0, len(grid), k):
            square = grid[r : r + k, q : q + k].transpose(2, 0, 1)
            rows.append(W.reshape(len(W), -1) @ square.ravel())
    return np.array(rows)
""",
    ),
    # query by query
    (
        "qformer",
        """
def qformer(x, queries, Wk, Wv):
    out = []
    for q in queries:
        s = (x @ Wk.T) @ q / math.sqrt(len(q))
        w = np.exp(s - s.max())
        out.append((w[:, None] * (x @ Wv.T)).sum(0) / w.sum())
    return np.stack(out)
""",
    ),
    # token by token
    (
        "visual_expert",
        """
def visual_expert(x, is_img, Wt, Wi):
    T, C = x.shape
    own = [Wi if seen else Wt for seen in is_img]
    q, k, v = ([own[t][i] @ x[t] for t in range(T)] for i in range(3))
    out = np.empty((T, C))
    for t in range(T):
        s = np.array([q[t] @ k[u] for u in range(t + 1)]) / math.sqrt(C)
        w = np.exp(s - s.max())
        out[t] = own[t][3] @ sum(a * b for a, b in zip(w / w.sum(), v))
    return out
""",
    ),
    # log-sum-exp
    (
        "cross_attend_narrow",
        """
def cross_attend_narrow(h, hi, Wq, Wk, Wv, Wo):
    s = np.einsum("td,sd->ts", h @ Wq.T, hi @ Wk.T) / math.sqrt(len(Wq))
    top = s.max(axis=-1, keepdims=True)
    log = s - top - np.log(np.exp(s - top).sum(-1, keepdims=True))
    return (np.exp(log) @ (hi @ Wv.T)) @ Wo.T + h
""",
    ),
]
RIGHT = [(question, START + code) for question, code in RIGHT]
