"""What the tests of the course share."""

import pytest

from course.specimen import Specimen, make_specimen


@pytest.fixture(scope="session")
def specimen(tmp_path_factory: pytest.TempPathFactory) -> Specimen:
    """The specimen course, executed once."""
    return make_specimen(tmp_path_factory.mktemp("course"))
