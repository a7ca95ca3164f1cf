"""Whose code runs is known, and what it raises names it."""

from __future__ import annotations

import threading

import pytest

from vqbench import plugin_code
from vqbench.errors import DataError, PluginError
from vqbench.plugin_code import TRACE_BYTES, calling, describe, keep_trace, within


class Trace:
    value = b""


@pytest.fixture
def trace(monkeypatch):
    monkeypatch.setattr(plugin_code, "_trace", plugin_code._trace)  # put back afterwards
    trace = Trace()
    keep_trace(trace)
    return trace


def test_the_innermost_block_leaves_its_trace_and_takes_it_away(trace):
    with within("a: b"):
        assert trace.value == b"a: b"
        with calling("metric 'é'", "update"):
            assert trace.value.decode() == "metric 'é': update"
        assert trace.value == b"a: b"
        with pytest.raises(PluginError), calling("a", "c"):
            raise ValueError
        assert trace.value == b"a: b"
    assert trace.value == b""


def test_a_long_name_is_cut_to_what_the_trace_holds(trace):
    with within("x" * 1000):
        assert len(trace.value) < TRACE_BYTES


def test_another_thread_leaves_no_trace(trace):
    def work():
        with within("elsewhere"):
            seen.append(trace.value)

    seen: list[bytes] = []
    with within("here"):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert trace.value == b"here"
    assert seen == [b"here"]


class OwnInterrupt(KeyboardInterrupt):
    pass


class Mute(Exception):
    def __str__(self):
        raise ValueError


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("no"), "ValueError: no"),
        (ValueError(), "ValueError"),
        (SystemExit(3), "SystemExit: 3"),
        (OwnInterrupt(), "OwnInterrupt"),
        (Mute(), r"Mute: \(its message cannot be printed\)"),
        (StopIteration(), "StopIteration"),
    ],
)
def test_whatever_a_call_raises_becomes_an_error_that_names_it(error, message):
    expected = f"^quantizer 'a/b' failed in forward: {message}$"
    with pytest.raises(PluginError, match=expected) as caught, calling("quantizer 'a/b'", "forward"):
        raise error
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("error", [DataError("ours"), KeyboardInterrupt(), GeneratorExit()])
def test_errors_of_ours_and_interruptions_go_on_as_they_are(error):
    with pytest.raises(type(error)) as caught, calling("a", "b"):
        raise error
    assert caught.value is error


def test_a_description_is_bounded():
    assert len(describe(ValueError("x" * 10_000))) == 2_000
