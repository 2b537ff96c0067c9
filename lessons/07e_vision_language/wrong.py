"""Answers to set 07e that are wrong in the ways people are: (question, points earned, code)."""

START = "import numpy as np\n"
PATCHIFY = """
def patchify(img, p):
    C, H, W = img.shape
    corners = [(i, j) for i in range(0, H, p) for j in range(0, W, p)]
    return np.stack([img[:, i : i + p, j : j + p].ravel() for i, j in corners])
"""
UNPATCHIFY = """
def unpatchify(tokens, p, H, W):
    img = np.empty((tokens.shape[1] // p**2, H, W), tokens.dtype)
    for t, token in enumerate(tokens):
        i, j = t // (W // p) * p, t % (W // p) * p
        img[:, i : i + p, j : j + p] = token.reshape(-1, p, p)
    return img
"""
CROP = """
def crop_zoom(img, box, size):
    top, left, bottom, right = box
    middle = (np.arange(size) + 0.5) / size
    rows = top + (middle * (bottom - top)).astype(int)
    columns = left + (middle * (right - left)).astype(int)
    return img[:, rows[:, None], columns]
"""
NCE = """
def info_nce(I, T, tau):
    one, other = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (I, T))
    logits = one @ other.T / tau
    def loss(s):
        top = s.max(1, keepdims=True)
        return (top[:, 0] + np.log(np.exp(s - top).sum(1)) - np.diag(s)).mean()
    return (loss(logits) + loss(logits.T)) / 2
"""
MLP = """
def mlp2x(x, W1, b1, W2, b2):
    h = x @ W1.T + b1
    h = 0.5 * h * (1 + np.tanh((2 / np.pi) ** 0.5 * (h + 0.044715 * h**3)))
    return h @ W2.T + b2
"""
STRIDED = """
def stride_conv_proj(grid, W):
    G, _, I = grid.shape
    C, _, k, _ = W.shape
    squares = grid.reshape(G // k, k, G // k, k, I)
    return np.einsum("raqbi,ciab->rqc", squares, W).reshape(-1, C)
"""
QUERIES = """
def qformer(x, queries, Wk, Wv):
    keys, values = x @ Wk.T, x @ Wv.T
    scores = queries @ keys.T / queries.shape[1] ** 0.5
    shares = np.exp(scores - scores.max(1, keepdims=True))
    return shares / shares.sum(1, keepdims=True) @ values
"""
EXPERT = """
def visual_expert(x, is_img, Wt, Wi):
    def own(rows, text, img):
        return np.where(is_img[:, None], rows @ img.T, rows @ text.T)
    q, k, v = (own(x, Wt[i], Wi[i]) for i in range(3))
    scores = q @ k.T / x.shape[1] ** 0.5
    scores = np.where(np.tri(len(x), dtype=bool), scores, -np.inf)
    shares = np.exp(scores - scores.max(1, keepdims=True))
    return own(shares / shares.sum(1, keepdims=True) @ v, Wt[3], Wi[3])
"""
NARROW = """
def cross_attend_narrow(h, hi, Wq, Wk, Wv, Wo):
    q, k, v = h @ Wq.T, hi @ Wk.T, hi @ Wv.T
    scores = q @ k.T / q.shape[1] ** 0.5
    shares = np.exp(scores - scores.max(1, keepdims=True))
    return h + shares / shares.sum(1, keepdims=True) @ v @ Wo.T
"""

WRONG = [
    # columns of patches first
    (
        "patchify",
        0,
        PATCHIFY.replace(
            "for i in range(0, H, p) for j in range(0, W, p)",
            "for j in range(0, W, p) for i in range(0, H, p)",
        ),
    ),
    # colours last
    ("patchify", 0, PATCHIFY.replace(".ravel()", ".transpose(1, 2, 0).ravel()")),
    # a plain reshape
    (
        "patchify",
        0,
        "def patchify(img, p):\n    return img.reshape(-1, img.shape[0] * p * p)\n",
    ),
    # a plain reshape back
    (
        "unpatchify",
        0,
        "def unpatchify(tokens, p, H, W):\n    return tokens.reshape(-1, H, W)\n",
    ),
    # H and W exchanged
    ("unpatchify", 0, UNPATCHIFY.replace("(W // p)", "(H // p)")),
    # colours last
    (
        "unpatchify",
        0,
        UNPATCHIFY.replace("token.reshape(-1, p, p)", "token.reshape(p, p, -1).transpose(2, 0, 1)"),
    ),
    # the order left, top
    ("crop_zoom", 0, CROP.replace("top, left, bottom, right", "left, top, right, bottom")),
    # bottom and right belong to the box
    ("crop_zoom", 0, CROP.replace("(bottom - top)", "(bottom - top + 1)")),
    # rounded, not under the middle
    (
        "crop_zoom",
        0,
        CROP.replace("(np.arange(size) + 0.5)", "np.arange(size) * 1.0").replace(
            ".astype(int)", ".round().astype(int)"
        ),
    ),
    # not enlarged
    (
        "crop_zoom",
        0,
        CROP.replace("img[:, rows[:, None], columns]", "img[:, top:bottom, left:right]"),
    ),
    # one direction
    ("info_nce", 2, NCE.replace("(loss(logits) + loss(logits.T)) / 2", "loss(logits)")),
    # rows keep their lengths
    ("info_nce", 2, NCE.replace("x / np.linalg.norm(x, axis=1, keepdims=True)", "x + 0")),
    # the sum of both directions
    ("info_nce", 1, NCE.replace(" + loss(logits.T)) / 2", " + loss(logits.T))")),
    # the temperature multiplies
    ("info_nce", 1, NCE.replace("/ tau", "* tau")),
    # overflows
    ("info_nce", 4, NCE.replace("top = s.max(1, keepdims=True)", "top = 0 * s[:, :1]")),
    # no activation
    (
        "mlp2x",
        0,
        MLP.replace(
            "    h = 0.5 * h * (1 + np.tanh((2 / np.pi) ** 0.5 * (h + 0.044715 * h**3)))\n", ""
        ),
    ),
    # weights not transposed, where that runs
    ("mlp2x", 0, MLP.replace("W2.T", "W2.reshape(W2.shape[::-1])")),
    # the first bias is left out
    ("mlp2x", 0, MLP.replace("W1.T + b1", "W1.T")),
    # float64 whatever came
    ("mlp2x", 3, MLP.replace("x @ W1.T", "x.astype(np.float64) @ W1.T")),
    # the window moves by one
    (
        "stride_conv_proj",
        0,
        """
def stride_conv_proj(grid, W):
    G, k = len(grid), W.shape[-1]
    rows = [np.einsum("abi,ciab->c", grid[r : r + k, q : q + k], W)
            for r in range(G - k + 1) for q in range(G - k + 1)]
    return np.array(rows)
""",
    ),
    # the window turned over its diagonal
    ("stride_conv_proj", 1, STRIDED.replace("ciab", "ciba")),
    # k by k patches that are not neighbours
    (
        "stride_conv_proj",
        0,
        STRIDED.replace("G // k, k, G // k, k, I", "k, G // k, k, G // k, I").replace(
            "raqbi", "arbqi"
        ),
    ),
    # columns of squares first
    ("stride_conv_proj", 0, STRIDED.replace("->rqc", "->qrc")),
    # no scale
    ("qformer", 1, QUERIES.replace(" / queries.shape[1] ** 0.5", "")),
    # shares over the queries
    ("qformer", 0, QUERIES.replace("shares.sum(1, keepdims=True)", "shares.sum(0)")),
    # overflows
    ("qformer", 4, QUERIES.replace(" - scores.max(1, keepdims=True)", "")),
    # the values are the tokens' keys
    ("qformer", 0, QUERIES.replace("x @ Wv.T", "x @ Wk.T")),
    # everyone sees everyone
    ("visual_expert", 0, EXPERT.replace("np.tri(len(x), dtype=bool)", "True")),
    # one output map for all
    (
        "visual_expert",
        2,
        EXPERT.replace(
            "return own(shares / shares.sum(1, keepdims=True) @ v, Wt[3], Wi[3])",
            "return shares / shares.sum(1, keepdims=True) @ v @ Wt[3].T",
        ),
    ),
    # pictures and text do not see each other
    (
        "visual_expert",
        1,
        EXPERT.replace(
            "np.tri(len(x), dtype=bool)",
            "np.tri(len(x), dtype=bool) & (is_img[:, None] == is_img[None])",
        ),
    ),
    # a mixture of both by multiplication
    (
        "visual_expert",
        5,
        EXPERT.replace(
            "np.where(is_img[:, None], rows @ img.T, rows @ text.T)",
            "is_img[:, None] * (rows @ img.T) + ~is_img[:, None] * (rows @ text.T)",
        ),
    ),
    # the expert has queries only
    (
        "visual_expert",
        2,
        EXPERT.replace(
            "(own(x, Wt[i], Wi[i]) for i in range(3))",
            "(own(x, Wt[i], Wi[i] if i == 0 else Wt[i]) for i in range(3))",
        ),
    ),
    # what is read takes the place of the stream
    ("cross_attend_narrow", 0, NARROW.replace("return h + shares", "return shares")),
    # the scale of the stream
    ("cross_attend_narrow", 1, NARROW.replace("q.shape[1] ** 0.5", "h.shape[1] ** 0.5")),
    # the stream is changed
    ("cross_attend_narrow", 4, NARROW.replace("return h +", "h +=").rstrip() + "\n    return h\n"),
    # no softmax
    (
        "cross_attend_narrow",
        1,
        NARROW.replace(
            "return h + shares / shares.sum(1, keepdims=True)",
            "return h + scores / scores.sum(1, keepdims=True)",
        ),
    ),
]
WRONG = [(question, earned, START + code) for question, earned, code in WRONG]
