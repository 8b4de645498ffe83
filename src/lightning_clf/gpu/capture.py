"""Work of CUDA kernels, captured and replayed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import torch

Work = Callable[[], None]


class Capture:
    """Captures work of CUDA kernels.

    Args:
        device: The GPU.

    Attributes:
        stream: Where it is warmed up and captured: one for all, since libraries keep workspaces for each stream.
    """

    def __init__(self, device: torch.device) -> None:
        self.stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._pool = torch.cuda.graph_pool_handle()

    def __call__(self, work: Work) -> Work:
        """Capture some work, which is not done now.

        Args:
            work: It must neither wait for the GPU nor depend on what is there.

        Returns:
            What does it.

        Raises:
            BaseException: What the work raised, rather than what the end of its capture makes of that.
        """
        graph = torch.cuda.CUDAGraph()
        before = torch.cuda.current_stream(self.stream.device)
        failed: BaseException | None = None
        try:
            # threads that load data may allocate page-locked memory meanwhile
            with torch.cuda.graph(graph, self._pool, self.stream, capture_error_mode="thread_local"):
                try:
                    work()
                except BaseException as error:
                    failed = error
                    raise
        except BaseException as error:
            # PyTorch leaves the stream, and random numbers, as they were amid the capture
            torch.cuda.set_stream(before)
            with contextlib.suppress(RuntimeError):
                graph.reset()
            raise failed or error from None
        return graph.replay

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """A context for what is to be done before a capture, on its stream."""
        current = torch.cuda.current_stream(self.stream.device)
        self.stream.wait_stream(current)
        with torch.cuda.stream(self.stream):
            yield
        current.wait_stream(self.stream)
