"""Kernels whose answers are not missed, for all that executes notebooks.

While a cell shows widgets, nbclient sends messages past asyncio's back on the very socket on which it waits for the
cell's answer. An answer that arrives in that moment wakes nobody, and the notebook stands still. Asking anew every
second finds it.
"""

import time
from queue import Empty

from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.manager import AsyncKernelManager
from traitlets import Type

try:
    from jupyter_client.channels import AsyncZMQSocketChannel
except ImportError:  # before version 8, which Colab has
    from jupyter_client.channels import ZMQSocketChannel as AsyncZMQSocketChannel

ASK_EVERY_S = 1.0


class AskingChannel(AsyncZMQSocketChannel):
    async def get_msg(self, timeout: float | None = None) -> dict:
        """The next message within `timeout` seconds, else queue.Empty."""
        deadline = float("inf") if timeout is None else time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > ASK_EVERY_S:
            try:
                return await super().get_msg(ASK_EVERY_S)
            except Empty:
                continue
        return await super().get_msg(max(0.0, left))


class AskingClient(AsyncKernelClient):
    shell_channel_class = Type(AskingChannel)


class AskingManager(AsyncKernelManager):
    client_factory = Type(AskingClient)
