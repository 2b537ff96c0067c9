"""The picture that a lesson opens with: `pictures.opening()`, drawn once and kept as a file."""

from minilm.course.places import LessonFolder
from minilm.course.show.style import Picture, render
from minilm.errors import InputError
from minilm.files import write_atomically


def draw_opening(lesson: LessonFolder) -> bool:
    """Draw `opening.png`; returns whether the file changed.

    `pictures.opening()` returns a `Picture`, or a matplotlib figure made with `new_figure`.

    Raises:
        InputError: pictures.py is missing, or has no function `opening`.
    """
    draw = getattr(lesson.pictures, "opening", None)
    if draw is None:
        raise InputError(f"{lesson.slug}/pictures.py has no function opening(); it must draw one")
    made = draw()
    picture = made if isinstance(made, Picture) else render(made, "the opening picture")
    if lesson.opening.is_file() and lesson.opening.read_bytes() == picture.png:
        return False
    write_atomically(lesson.opening, picture.png)
    return True
