"""Several submissions at once, each grade handed over as soon as it is there."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from queue import Empty, SimpleQueue

from minilm.course.grade.judges import Judges
from minilm.course.grade.results import Grade
from minilm.course.grade.submissions import Submission
from minilm.interrupt import Interrupt

LOOK = 0.1  # seconds between two looks at whether to stop


def grade_each(
    judges: Judges, submissions: Sequence[Submission], jobs: int, interrupt: Interrupt
) -> Iterator[Grade]:
    """Have every submission judged; yields each grade when it is done, in any order.

    Raises:
        KeyboardInterrupt: it was asked to stop. All that was done by then has been yielded.
    """
    pool = ThreadPoolExecutor(jobs)
    done: SimpleQueue[Future[Grade]] = SimpleQueue()
    left = len(submissions)
    try:
        for one in submissions:
            pool.submit(judges.grade, one).add_done_callback(done.put)
        while left and not interrupt.asked:
            with suppress(Empty):
                future = done.get(timeout=LOOK)
                left -= 1
                yield future.result()
        for _ in range(done.qsize()):
            left -= 1
            yield done.get().result()
        if left:
            interrupt.refuse_to_go_on()
    except BaseException:
        judges.close()  # who waits for one need not wait for its end
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # Ctrl-C: the judges end what runs
