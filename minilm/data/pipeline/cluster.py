"""The same work over many machines, with Dask; they must see the same folders."""

from collections.abc import Callable, Sequence
from typing import Any

from minilm.errors import InputError, install


class Cluster:
    """Workers of a Dask scheduler.

    Args:
        address: of a scheduler, such as "tcp://10.0.0.5:8786", or "local:N" for N processes here.

    Raises:
        InputError: Dask is not installed, or no scheduler answers.
    """

    def __init__(self, address: str) -> None:
        try:
            import distributed
        except ImportError:
            raise InputError(
                f"dask is {address!r}, but Dask is not installed; {install('cluster')}"
            ) from None
        self._cluster = None
        if address.startswith("local:"):
            number = address.removeprefix("local:")
            if not number.isdecimal() or int(number) < 1:
                raise InputError(f"dask is {address!r}; after local: it must have a number")
            self._cluster = distributed.LocalCluster(
                n_workers=int(number), threads_per_worker=1, dashboard_address=None
            )
        try:
            self.client = distributed.Client(self._cluster or address, timeout=10)
        except (OSError, ValueError) as error:
            raise InputError(
                f"dask is {address!r}; it must be the address of a scheduler that answers ({error})"
            ) from None

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(self, *_: Any) -> None:
        self.client.close()
        if self._cluster is not None:
            self._cluster.close()

    def run(
        self,
        function: Callable[..., None],
        tasks: Sequence[tuple],
        told: Callable[[], Any] = lambda: None,
    ) -> None:
        """Call a function once for each task; where a worker dies, another does its part again.

        Raises:
            InputError: workers died on the same part again and again, or a worker cannot see the
                folder; whatever the function raises is raised here.
        """
        import distributed

        futures = [self.client.submit(function, *task, pure=False, retries=2) for task in tasks]
        try:
            for future in distributed.as_completed(futures):
                future.result()
                told()
        except distributed.scheduler.KilledWorker as error:
            raise InputError(
                f"dask lost several workers on the same part ({error.task}), perhaps for want of "
                "memory; it must have larger ones"
            ) from None
        except OSError as error:
            raise InputError(
                f"dask's workers cannot use {str(tasks[0][0])!r} ({error.strerror or error}); it "
                "must be a folder that all of them share, as the source must be"
            ) from None
        finally:
            for future in futures:
                future.release()
