"""Code run as the loop runs callbacks: a connection's bytes come outside of any task."""

import asyncio


def called_by_the_loop(function):
    """Run a function as the loop runs callbacks, outside of any task; what it returned or raised."""
    done = asyncio.get_running_loop().create_future()

    def call():
        try:
            done.set_result(function())
        except BaseException as error:
            done.set_exception(error)

    asyncio.get_running_loop().call_soon(call)
    return done
