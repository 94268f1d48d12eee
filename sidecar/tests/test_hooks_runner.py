"""Requests that wait for functions are answered: at once, on few threads, and none holds up the others."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from infermesh_sidecar.hooks import Function, Hooks, coroutines
from support.fake_hooks import SECONDS, FakeHook, FakeProxy


def plain(name: str, call: Callable[[Any], Any]) -> Function:
    return Function(name, call, is_async=False)


def waiting(name: str, call: Callable[[Any], Any]) -> Function:
    return Function(name, call, is_async=True)


@contextmanager
def answering(*functions: Function, threads: int = 2, **options: Any) -> Iterator[FakeProxy]:
    proxy = FakeProxy()
    with Hooks(proxy, {function.name: function for function in functions}, threads=threads, **options):
        yield proxy


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, "it does not happen"
        time.sleep(0.001)


def double(call: Any) -> dict[str, Any]:
    return {"y": 2 * call.fields["x"]}


def test_a_function_gets_the_call_and_returns_tensors() -> None:
    seen = []

    def order(call: Any) -> dict[str, Any]:
        seen.append(call)
        return {"amount": call.fields["prices"]}

    inputs = [{"name": "amount", "datatype": "FP32", "shape": [-1, 3]}]
    hook = FakeHook("m:order", inputs, prices=[1, 2.5, 3])
    with answering(plain("m:order", order)) as proxy:
        proxy.ask(hook)
        assert hook.answer() == {"tensors": {"amount": [1, 2.5, 3]}}
    (call,) = seen
    assert (call.rule, call.model, call.fields) == ("risk", "fraud", {"prices": [1, 2.5, 3]})
    assert (call.inputs[0].name, call.inputs[0].datatype, call.inputs[0].shape) == ("amount", "FP32", (-1, 3))


def test_a_slow_function_holds_up_none_of_those_that_came_with_it() -> None:
    gate = threading.Event()

    def slow(_: Any) -> dict[str, Any]:
        assert gate.wait(SECONDS)
        return {}

    late = FakeHook("m:slow")
    others = [FakeHook("m:double", x=number) for number in range(50)]
    with answering(plain("m:slow", slow), plain("m:double", double)) as proxy:
        proxy.ask(late, *others)
        assert [other.answer()["tensors"]["y"] for other in others] == [2 * number for number in range(50)]
        assert not late.is_answered
        gate.set()
        assert late.answer() == {"tensors": {}}


def test_coroutines_wait_beside_each_other() -> None:
    everyone = 40
    here = []
    complete = asyncio.Event()

    async def meet(call: Any) -> dict[str, Any]:
        here.append(call)
        if len(here) == everyone:
            complete.set()
        await complete.wait()
        return double(call)

    hooks = [FakeHook("m:meet", x=number) for number in range(everyone)]
    with answering(waiting("m:meet", meet), threads=1) as proxy:
        proxy.ask(*hooks)
        assert [hook.answer()["tensors"]["y"] for hook in hooks] == [2 * number for number in range(everyone)]


def test_a_coroutine_that_nobody_waits_for_is_cancelled() -> None:
    begun, cancelled = threading.Event(), threading.Event()

    async def forever(_: Any) -> dict[str, Any]:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return {}

    hook = FakeHook("m:forever")
    with answering(waiting("m:forever", forever)) as proxy:
        proxy.ask(hook)
        assert begun.wait(SECONDS)
        hook.wanted = False
        assert cancelled.wait(SECONDS)
    assert not hook.is_answered


def test_coroutines_under_way_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coroutines, "MAX_UNDER_WAY", 2)

    begun = []

    async def forever(call: Any) -> dict[str, Any]:
        begun.append(call)
        await asyncio.Event().wait()
        return {}

    hooks = [FakeHook("m:forever") for _ in range(3)]
    with answering(waiting("m:forever", forever), threads=1) as proxy:
        proxy.ask(*hooks)
        assert "too many calls of async functions" in hooks[2].answer()["error"]
        # There is room again when one of them has ended.
        hooks[0].wanted = False
        while len(begun) == 2:
            proxy.ask(hook := FakeHook("m:forever"))
            until(lambda: hook.is_answered or len(begun) == 3)


def test_what_nobody_waits_for_is_not_called() -> None:
    called = []
    gate = threading.Event()

    def note(call: Any) -> dict[str, Any]:
        called.append(call.fields["x"])
        assert gate.wait(SECONDS)
        return {}

    first, given_up, last = (FakeHook("m:note", x=number) for number in range(3))
    with answering(plain("m:note", note), threads=1) as proxy:
        proxy.ask(first, given_up, last)
        until(lambda: called == [0])
        given_up.wanted = False
        gate.set()
        last.answer()
    assert called == [0, 2]


@pytest.mark.parametrize("kind", [plain, waiting])
def test_what_a_function_raises_is_an_error_without_a_traceback(
    kind: Callable[[str, Callable[[Any], Any]], Function],
    caplog: pytest.LogCaptureFixture,
) -> None:
    problems: list[BaseException] = [ValueError("no price"), SystemExit(3), KeyError("card")]

    def fail(_: Any) -> Any:
        raise problems[0]

    async def fail_later(_: Any) -> Any:
        await asyncio.sleep(0)
        raise problems[0]

    now = [100.0]
    function = kind("m:fail", fail if kind is plain else fail_later)
    with answering(function, threads=1, clock=lambda: now[0]) as proxy:
        replies = []
        for _ in range(3):
            hook = FakeHook("m:fail")
            proxy.ask(hook)
            replies.append(hook.answer())
            problems.append(problems.pop(0))
        now[0] += 61
        proxy.ask(hook := FakeHook("m:fail"))
        hook.answer()
    assert replies == [
        {"error": "ValueError: no price"},
        {"error": "SystemExit: 3"},
        {"error": "KeyError: 'card'"},
    ]
    # Its traceback is told once a minute.
    told = [record for record in caplog.records if record.levelno == logging.WARNING]
    said = "m:fail failed for the enrichment 'risk': ValueError: no price"
    more = " (it failed 2 times more since this was last said)"
    assert [record.getMessage() for record in told] == [said, said + more]
    assert all(record.exc_info for record in told)


def test_what_python_cannot_read_is_answered_too() -> None:
    hook = FakeHook("m:double", x=1)
    assert hook.call is not None
    hook.call = hook.call.replace(b"1", b"1" * 5000)
    other = FakeHook("m:double", x=1)
    with answering(plain("m:double", double), threads=1) as proxy:
        proxy.ask(hook, other)
        assert "ValueError" in hook.answer()["error"]
        assert other.answer() == {"tensors": {"y": 2}}


def test_it_stops_within_its_time_whatever_runs(caplog: pytest.LogCaptureFixture) -> None:
    gate, begun = threading.Event(), threading.Event()

    def stuck(_: Any) -> dict[str, Any]:
        begun.set()
        assert gate.wait(SECONDS)
        return {}

    async def held(_: Any) -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    proxy = FakeProxy()
    functions = {"m:stuck": plain("m:stuck", stuck), "m:held": waiting("m:held", held)}
    hooks = Hooks(proxy, functions, threads=2)
    hooks.start()
    proxy.ask(FakeHook("m:held"), FakeHook("m:stuck"))
    assert begun.wait(SECONDS)
    begin = time.monotonic()
    assert not hooks.stop(1.0)
    assert time.monotonic() - begin < SECONDS / 2
    assert "left behind: transform-" in caplog.records[-1].getMessage()
    gate.set()
    assert hooks.stop(SECONDS)


def test_a_data_plane_that_has_ended_is_not_asked_again_and_again() -> None:
    with answering(plain("m:double", double)) as proxy:
        proxy.ended = True
        proxy.ask()
        until(lambda: proxy.looks >= 3)
        looks, begin = proxy.looks, time.monotonic()
        until(lambda: proxy.looks > looks)
        assert time.monotonic() - begin > 0.05
