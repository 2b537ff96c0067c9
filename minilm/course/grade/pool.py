"""Several submissions at once, each grade handed over as soon as it is there."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

from minilm.course.grade.judges import Judges
from minilm.course.grade.results import Grade
from minilm.course.grade.submissions import Submission


def grade_each(judges: Judges, submissions: Sequence[Submission], jobs: int) -> Iterator[Grade]:
    """Have every submission judged; yields each grade when it is done, in any order."""
    pool = ThreadPoolExecutor(jobs)
    try:
        for future in as_completed([pool.submit(judges.grade, one) for one in submissions]):
            yield future.result()
    except BaseException:
        judges.close()  # who waits for one need not wait for its end
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # Ctrl-C: the judges end what runs
