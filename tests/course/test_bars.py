"""Progress bars in a notebook: they move, they clean up, and nothing of them needs a widget."""

from pathlib import Path

import nbformat
from nbclient import NotebookClient

from minilm.course.build.run import WIDGETS, stored_outputs

CELLS = [
    "import minilm\nfrom minilm.course import progress\n"
    "from minilm.models import Transformer, gpt2\nfrom minilm.train import train\n"
    "model = Transformer(gpt2(vocab_size=16, context=8, layers=1, heads=1, channels=8))\n"
    "ids = [n % 16 for n in range(500)]\n"
    "train(model, ids, 1, batch=1)",  # where kernels are compiled, it says so here
    "run = train(model, ids, 5, batch=1)",
    "seen = [n for n in progress(range(3))]\nprint(seen)",
    "from minilm import backend\n"
    "with progress(total=8) as bar:\n"
    "    backend.parallel(lambda n: bar.update(), range(8))\nprint(bar.n)",
    "for n in progress(range(3)):\n    raise ValueError('x')",
]


def test_bars_leave_a_sentence_or_nothing(tmp_path: Path) -> None:
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in CELLS])
    NotebookClient(
        made, allow_errors=True, resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    outputs = [cell["outputs"] for cell in made["cells"]]
    for out in sum(outputs[1:], []):
        assert not set(out.get("data", {})) & set(WIDGETS)  # no "model not found"
        assert out.get("name") != "stderr"  # no pink box
    (bar,) = outputs[1]
    assert "data" in bar, bar
    assert "5 of 5 steps in " in bar["data"]["text/plain"] and "loss " in bar["data"]["text/plain"]
    assert "width:" not in bar["data"]["text/html"]
    for shown, said in ((outputs[2], "[0, 1, 2]\n"), (outputs[3], "8\n")):
        assert [out["text"] for out in shown if "text" in out] == [said]
        assert not any("".join(out["data"].values()) for out in shown if "data" in out)
    assert outputs[4][0]["data"] == {"text/plain": ""}  # also where the loop breaks
    kept = [stored_outputs([dict(out) for out in cell]) for cell in outputs[1:4]]
    assert [len(cell) for cell in kept] == [0, 1, 1]  # a stored lesson keeps no bar at all
