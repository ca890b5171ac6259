"""What is raised in a task to end it, told apart from what its own code raises."""

import asyncio

__all__ = ["is_cancellation"]


def is_cancellation(error: BaseException) -> bool:
    """Whether somebody has cancelled the task that runs; False for a ``CancelledError`` that its own code raises."""
    if not isinstance(error, asyncio.CancelledError):
        return False
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
