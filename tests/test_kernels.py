"""Kernels whose answers are not missed."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from queue import Empty

import pytest
from jupyter_client.channels import AsyncZMQSocketChannel

from musiclib import kernels


@pytest.fixture
def asked(monkeypatch):
    """A socket that does not notice what has come until it is asked for the third time."""
    timeouts = []

    async def get_msg(self, timeout=None):
        timeouts.append(timeout)
        await asyncio.sleep(timeout)
        if len(timeouts) < 3:
            raise Empty
        return {"content": "here"}

    monkeypatch.setattr(AsyncZMQSocketChannel, "get_msg", get_msg)
    monkeypatch.setattr(kernels, "ASK_EVERY_S", 0.02)
    return timeouts


def answer(coroutine):
    """Of a coroutine, in a thread of its own: a browser test before this one leaves a running loop in the main one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()


def channel() -> kernels.AskingChannel:
    return kernels.AskingChannel.__new__(kernels.AskingChannel)  # what is asked here needs no socket


@pytest.mark.parametrize("timeout", [60, None])
def test_an_answer_that_woke_nobody_is_found(asked, timeout):
    assert answer(asyncio.wait_for(channel().get_msg(timeout), 10)) == {"content": "here"}
    assert asked == [0.02] * 3


def test_no_answer_is_empty_in_time(asked):
    with pytest.raises(Empty):
        answer(channel().get_msg(0.03))
    assert sum(asked) <= 0.03


def test_the_manager_hands_out_such_clients():
    assert kernels.AskingManager().client_factory is kernels.AskingClient
