"""Code of plugins where we plan: it is stopped in time, ends nothing, and prints nowhere but to standard error."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from vqbench.catalog.guard import PATIENCE, kept_alive, patience, printing_to_stderr, stopped_after
from vqbench.errors import UsageError
from vqbench.plugin_code import EndedProcess, TookTooLong


@pytest.mark.parametrize(
    ("text", "seconds"), [(None, 30.0), ("", 30.0), ("2.5", 2.5), (" 3 ", 3.0), ("0", None), ("0.0", None)]
)
def test_the_limit_comes_from_the_environment(monkeypatch, text, seconds):
    monkeypatch.delenv(PATIENCE, raising=False)
    if text is not None:
        monkeypatch.setenv(PATIENCE, text)
    assert patience() == seconds


@pytest.mark.parametrize("text", ["soon", "-1", "nan", "inf"])
def test_a_malformed_limit_is_refused(monkeypatch, text):
    monkeypatch.setenv(PATIENCE, text)
    with pytest.raises(UsageError, match=f"{PATIENCE} is malformed: got '{text}'"):
        patience()


def test_a_block_that_takes_too_long_is_stopped_and_the_alarm_is_gone():
    began = time.monotonic()
    with pytest.raises(TookTooLong, match=r"longer than 0\.1 seconds"), stopped_after(0.1):
        time.sleep(60)
    assert time.monotonic() - began < 30
    assert signal.getsignal(signal.SIGALRM) is signal.SIG_DFL
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def sleep_swallowing(kind):
    with contextlib.suppress(kind):
        time.sleep(60)


def test_a_plugin_that_catches_exceptions_does_not_catch_this():
    with pytest.raises(TookTooLong), stopped_after(0.1):
        sleep_swallowing(Exception)


def test_a_plugin_that_catches_everything_once_is_stopped_the_next_time():
    with pytest.raises(TookTooLong), stopped_after(0.1):
        [sleep_swallowing(BaseException), time.sleep(60)]


def test_a_block_in_time_is_left_alone():
    with stopped_after(60):
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 50
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_somebody_elses_alarm_is_left_alone():
    """A worker has one."""

    def mine(number, frame):
        pass

    before = signal.signal(signal.SIGALRM, mine)
    try:
        with stopped_after(0.05):
            time.sleep(0.2)
        assert signal.getsignal(signal.SIGALRM) is mine
    finally:
        signal.signal(signal.SIGALRM, before)


def test_an_alarm_that_the_plugin_took_over_is_its_own():
    def theirs(number, frame):
        pass

    try:
        with stopped_after(60):
            signal.signal(signal.SIGALRM, theirs)
        assert signal.getsignal(signal.SIGALRM) is theirs
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)


def test_there_is_no_limit_outside_the_main_thread():
    ended = []

    def work():
        with stopped_after(0.05):
            time.sleep(0.2)
            ended.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ended == [True]


def test_output_of_every_kind_goes_to_standard_error_and_back(capfd):
    with printing_to_stderr(), printing_to_stderr():  # a plugin may ask us while we ask it
        print("one")
        print("two", file=sys.__stdout__)
        os.write(1, b"three\n")
        subprocess.run(["echo", "four"], check=True)
    print("ours")
    captured = capfd.readouterr()
    assert captured.out == "ours\n"
    assert sorted(captured.err.split()) == ["four", "one", "three", "two"]


@pytest.mark.parametrize("closed", [1, 2])
def test_a_closed_stream_is_no_obstacle(closed):
    code = (
        f"import os\nos.close({closed})\n"
        "from vqbench.catalog.guard import printing_to_stderr\n"
        "with printing_to_stderr():\n    x = 1\n"
        "raise SystemExit(40 + x)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode in (41, 120)


def test_a_block_that_would_end_the_process_raises_and_os_is_as_before():
    before = os._exit
    with pytest.raises(EndedProcess, match=r"it called os\._exit\(7\)"), kept_alive(), kept_alive():
        os._exit(7)
    assert os._exit is before


def test_a_plugin_that_catches_exceptions_does_not_catch_that_it_would_end_the_process():
    def end():
        with contextlib.suppress(Exception):
            os._exit(7)

    with pytest.raises(EndedProcess), kept_alive():
        end()


def test_processes_that_a_plugin_forks_and_what_it_keeps_end_as_ever():
    code = (
        "import os, sys\n"
        "from vqbench.catalog.guard import kept_alive\n"
        "with kept_alive():\n"
        "    from os import _exit\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        os._exit(3)\n"
        "status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])\n"
        "_exit(40 + status)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 43
