"""`minilm train --images` and `minilm draw` as they are typed, and folders of pictures."""

import json

import numpy as np
import pytest
from PIL import Image

from minilm.cli import main
from minilm.data.images.folder import load_pictures
from minilm.diffusion.worlds import asked_for, config_for, load_artist, load_world
from minilm.errors import InputError


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty place to work, with a folder of pictures of two kinds."""
    monkeypatch.chdir(tmp_path)
    for kind, value in (("night", 10), ("day", 240)):
        (tmp_path / "mine" / kind).mkdir(parents=True)
        for number in range(6):
            picture = np.full((20, 30, 3), value, np.uint8)
            picture[:, :, number % 3] = 128
            Image.fromarray(picture).save(tmp_path / "mine" / kind / f"{number}.png")
    return tmp_path


def refused(capsys, *argv: str) -> str:
    assert main(list(argv)) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and "Traceback" not in err
    return err


def test_pictures_of_a_folder_are_cut_square_and_named(here) -> None:
    found = load_pictures(here / "mine", 8)
    assert found.images.shape == (12, 3, 8, 8) and found.names == ["day", "night"]
    assert (found.labels == np.repeat([0, 1], 6)).all()
    np.testing.assert_allclose(
        found.images[0, :, 3, 3], [128 / 255, 240 / 255, 240 / 255], atol=0.01
    )
    assert load_pictures(here / "mine" / "day", 8, grey=True).images.shape == (6, 1, 8, 8)
    left = np.zeros((4, 8), np.uint8)
    left[:, 2:6] = 255  # the middle square
    Image.fromarray(left).save(here / "mine" / "wide.png")
    only = load_pictures(here / "mine" / "..", 4)  # folders inside have no pictures of their own
    assert only.names == ["mine"] and only.images[-1].min() == 1


def test_one_broken_file_is_named(here, capsys) -> None:
    (here / "mine" / "day" / "3.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    said = refused(capsys, "train", "--images", "mine", "--out", "run")
    assert "3.png cannot be read as a picture; repair it or take it away" in said
    assert not (here / "run").exists()


def test_train_stop_resume_and_draw(here, capsys) -> None:
    assert main(["train", "--images", "digits", "--steps", "3", "--out", "a"]) == 0
    said = capsys.readouterr().out
    assert "1,797 pictures of 8 by 8 pixels, 16 patches each" in said and "minilm draw a" in said
    assert main(["train", "--resume", "a", "--steps", "5"]) == 0
    assert main(["train", "--images", "digits", "--steps", "5", "--out", "b"]) == 0
    one, two = (load_artist(name)[0].state_dict() for name in "ab")
    assert any(np.abs(one[name] - two[name]).max() > 0 for name in one)  # another cosine: not equal
    capsys.readouterr()
    assert main(["draw", "a", "2026", "--steps", "2", "--count", "2", "--out", "year.png"]) == 0
    assert capsys.readouterr().out == "8 pictures of '2026' in year.png\n"
    with Image.open("year.png") as picture:
        assert picture.size == (16 * (4 * 9 - 1), 16 * (2 * 9 - 1)) and picture.mode == "L"
    assert main(["train", "--resume", "a", "--steps", "5"]) == 0
    assert "a has taken 5 of 5 steps and is finished" in capsys.readouterr().out


def test_the_same_seed_draws_the_same_picture(here) -> None:
    assert main(["train", "--images", "mine", "--size", "8", "--steps", "2", "--out", "own"]) == 0
    for name in ("x", "y", "z"):
        seed = "1" if name == "z" else "0"
        words = ["draw", "own", "day night", "--steps", "2", "--seed", seed, "--out", f"{name}.png"]
        assert main(words) == 0
    x, y, z = (np.asarray(Image.open(f"{name}.png")) for name in "xyz")
    assert (x == y).all() and (x != z).any() and x.shape[2] == 3


def test_a_caption_is_drawn(here, capsys) -> None:
    assert main(["train", "--images", "sprites", "--steps", "1"]) == 0
    assert main(["draw", "runs/sprites", "red ring left of blue bar", "--steps", "1"]) == 0
    assert (here / "red-ring-left-of-blue-bar.png").is_file()
    capsys.readouterr()
    said = refused(capsys, "draw", "runs/sprites", "red ring beside a house")
    assert "red ring beside a house" in said and "COLOUR SHAPE" in said


MISTAKES = [
    (["train", "--images", "digits", "--size", "16"], "--size is 16; digits have 8 pixels"),
    (["train", "--images", "glyphs", "--size", "18"], "patch is 4; it must divide the side, 18"),
    (["train", "--images", "digits", "--patch", "3"], "--patch is 3; it must divide the side, 8"),
    (["train", "--images", "nowhere"], "--images is 'nowhere'; it must be digits, glyphs, sprites"),
    (
        ["train", "--images", "digits", "--vocab", "300"],
        "--vocab was given for a model of pictures",
    ),
    (["train", "--images", "digits", "--seed", "-1"], "--seed is -1; it must be 0 or more"),
    (["train", "--size", "8"], "--size was given without --images"),
    (["draw", "nowhere", "7"], "'nowhere' is not a folder"),
    (["draw", "mine", "7"], "'mine' holds no model that draws"),
    (["draw", "mine", "7", "--steps", "0"], "--steps is 0; it must be 1 or more"),
]


@pytest.mark.parametrize(("argv", "sentence"), MISTAKES, ids=[" ".join(a) for a, _ in MISTAKES])
def test_a_mistake_gets_a_sentence(here, capsys, argv, sentence) -> None:
    assert sentence in refused(capsys, *argv)


@pytest.mark.parametrize(
    ("text", "wanted"), [("2026", [2, 0, 2, 6]), ("20 26", [2, 0, 2, 6]), ("7", [7])]
)
def test_digits_are_asked_for_as_a_number(text: str, wanted: list[int]) -> None:
    assert asked_for(text, list("0123456789")).tolist() == wanted


def test_what_nobody_drew_cannot_be_asked_for() -> None:
    with pytest.raises(InputError, match="'cat' is asked for; this model draws day, night"):
        asked_for("day cat", ["day", "night"])
    with pytest.raises(InputError, match="nothing is asked for"):
        asked_for(" ", ["day", "night"])


def test_worlds_have_a_network_that_fits() -> None:
    for name in ("digits", "sprites"):
        world = load_world(name)
        config = config_for(world)
        assert world.pictures.shape[1:] == (config.channels, config.side, config.side)
        assert -1 <= world.pictures.min() and world.pictures.max() <= 1
        json.dumps(config.to_dict())
