"""Jobs that behave badly, and a listener that keeps what an executor tells it. Imported by worker processes too."""

from __future__ import annotations

import contextlib
import ctypes
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vqbench.errors import DataError, UnavailableError
from vqbench.plugin_code import within
from vqbench.run.job import Failure, Progress
from vqbench.run.schedule import Task

ENTRY = "fake_worker:run_fake"


@dataclass(frozen=True, kw_only=True)
class FakeJob:
    """``action`` names a function of this module; ``folder`` is where it leaves its traces."""

    id: str
    action: str
    folder: Path | None = None
    seconds: float = 60.0

    @property
    def name(self) -> str:
        return f"fake {self.id}"

    def mark(self, word: str) -> Path:
        assert self.folder is not None
        return self.folder / f"{self.id}.{word}"


def task(id: str, action: str = "succeed", *, needs: tuple[str, ...] = (), exclusive: bool = False, **kw: Any) -> Task:
    return Task(job=FakeJob(id=id, action=action, **kw), needs=needs, exclusive=exclusive)


@dataclass
class Listener:
    """Keeps the events as ``(what, id)``, failures by id, progress by id."""

    events: list[tuple[str, str]] = field(default_factory=list)
    failures: dict[str, Failure] = field(default_factory=dict)
    progress: list[tuple[str, Progress]] = field(default_factory=list)
    then: Callable[[str, Task], None] = lambda what, task: None

    def on_start(self, task: Task) -> None:
        self._note("start", task)

    def on_progress(self, task: Task, progress: Progress) -> None:
        self.progress.append((task.id, progress))
        self.then("progress", task)

    def on_done(self, task: Task) -> None:
        self._note("done", task)

    def on_failure(self, task: Task, failure: Failure) -> None:
        self.failures[task.id] = failure
        self._note("failure", task)

    def on_interrupt(self) -> None:
        self.events.append(("interrupt", ""))

    def _note(self, what: str, task: Task) -> None:
        self.events.append((what, task.id))
        self.then(what, task)

    def ended(self, what: str) -> list[str]:
        return [id for event, id in self.events if event == what]


Report = Callable[[Progress], None]


def run_fake(job: FakeJob, report: Report, threads: int) -> None:
    ACTIONS[job.action](job, report, threads)


def succeed(job: FakeJob, report: Report, threads: int) -> None:
    report(Progress(stage="train", done=1, total=2, detail="loss 0.5"))
    report(Progress(stage="train", done=2, total=2))


def note_interval(job: FakeJob, report: Report, threads: int) -> None:
    began = time.monotonic()
    time.sleep(job.seconds)
    job.mark("interval").write_text(f"{began} {time.monotonic()}")


def note_surroundings(job: FakeJob, report: Report, threads: int) -> None:
    variables = [os.environ.get(name) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")]
    job.mark("seen").write_text(repr((threads, variables, "torch" in sys.modules, os.getppid())))


def fail(job: FakeJob, report: Report, threads: int) -> None:
    report(Progress(stage="evaluate", done=0, total=10))
    raise DataError("The images are odd", got="3 eyes", expected="2")


def break_down(job: FakeJob, report: Report, threads: int) -> None:
    raise ZeroDivisionError("by \x00 nothing \udc80")


def lack(job: FakeJob, report: Report, threads: int) -> None:
    raise UnavailableError("No such weights here")


def leave(job: FakeJob, report: Report, threads: int) -> None:
    sys.exit("enough")


def vanish(job: FakeJob, report: Report, threads: int) -> None:
    os._exit(3)


def vanish_in_a_plugin(job: FakeJob, report: Report, threads: int) -> None:
    with within("plugin 'mine': import"):
        os._exit(3)


def hang_in_a_plugin(job: FakeJob, report: Report, threads: int) -> None:
    with within("quantizer 'mine/thing': forward"):
        hang_in_c(job, report, threads)


def interrupt_itself(job: FakeJob, report: Report, threads: int) -> None:
    raise KeyboardInterrupt


def mumble(job: FakeJob, report: Report, threads: int) -> None:
    raise Mute


class Mute(RuntimeError):
    def __str__(self) -> str:
        raise ValueError("no words")


def kill_itself(job: FakeJob, report: Report, threads: int) -> None:
    report(Progress(stage="train", done=5, total=10))
    os.kill(os.getpid(), signal.SIGKILL)


def crash(job: FakeJob, report: Report, threads: int) -> None:
    ctypes.string_at(0)


def exhaust_memory(job: FakeJob, report: Report, threads: int) -> None:
    report(Progress(stage="train", done=0, total=1))
    hoard = []
    while True:
        hoard.append(bytes(1 << 30))  # address space, not memory: its pages are never touched


def complain_as_torch_does(job: FakeJob, report: Report, threads: int) -> None:
    try:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory:")
    except RuntimeError as error:
        raise ValueError("training failed") from error


def print_much(job: FakeJob, report: Report, threads: int) -> None:
    print("to standard output")
    print("x" * 100_000, file=sys.stderr)
    subprocess.run(["sh", "-c", "echo from a subprocess >&2"], check=True)
    raise ValueError("after printing")


def print_without_end(job: FakeJob, report: Report, threads: int) -> None:
    line = "y" * 1023 + "\n"
    for _ in range(18 << 10):
        sys.stdout.write(line)
    sys.stdout.flush()
    time.sleep(1.5)  # the parent looks once a second
    print("the last word")


def hang(job: FakeJob, report: Report, threads: int) -> None:
    """Trains without end, one step after the other, and saves what it has when it is interrupted between two."""
    steps, halves = 0, 0
    try:
        while True:
            report(Progress(stage="train", done=steps, total=1_000_000))
            halves += 1
            time.sleep(0.01)
            halves += 1
            steps += 1
            job.mark("ready").touch()
    except KeyboardInterrupt:
        if halves == 2 * steps:
            job.mark("saved").write_text("")
        raise


def sleep(job: FakeJob, report: Report, threads: int) -> None:
    """Reports nothing, and saves when it is interrupted."""
    job.mark("ready").touch()
    try:
        time.sleep(job.seconds)
    except KeyboardInterrupt:
        report(Progress(stage="record", done=0, total=1))
        job.mark("saved").write_text("")
        raise


def hang_on(job: FakeJob, report: Report, threads: int) -> None:
    """Hangs, deaf to everything."""
    job.mark("pid").write_text(str(os.getpid()))
    report(Progress(stage="train", done=3, total=10))
    end = time.monotonic() + job.seconds
    while time.monotonic() < end:
        with contextlib.suppress(KeyboardInterrupt):
            time.sleep(0.05)


def hang_in_c(job: FakeJob, report: Report, threads: int) -> None:
    """Hangs in C code that holds the interpreter's lock, with a process of its own."""
    child = subprocess.Popen(["sleep", str(int(job.seconds))])
    job.mark("child").write_text(str(child.pid))
    job.mark("pid").write_text(str(os.getpid()))
    report(Progress(stage="train", done=3, total=10))
    ctypes.PyDLL(None).sleep(int(job.seconds))


def leave_a_thread(job: FakeJob, report: Report, threads: int) -> None:
    """Ends well, but a thread of its keeps the process from exiting."""
    threading.Thread(target=time.sleep, args=(job.seconds,)).start()


def kill_the_server(job: FakeJob, report: Report, threads: int) -> None:
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(0.3)


def report_nonsense(job: FakeJob, report: Report, threads: int) -> None:
    report(Progress(stage="dancing", done=0, total=1))  # type: ignore[arg-type]


def report_often(job: FakeJob, report: Report, threads: int) -> None:
    for step in range(20_001):
        report(Progress(stage="train", done=step, total=20_000))


ACTIONS: dict[str, Callable[[FakeJob, Report, int], None]] = {
    action.__name__: action
    for action in (
        vanish_in_a_plugin, hang_in_a_plugin, interrupt_itself, mumble,
        succeed, note_interval, note_surroundings, fail, break_down, lack, leave, vanish, kill_itself, crash,
        exhaust_memory, complain_as_torch_does, print_much, print_without_end, hang, sleep, hang_on, hang_in_c,
        leave_a_thread, kill_the_server, report_nonsense, report_often,
    )
}  # fmt: skip


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(condition: Callable[[], bool], seconds: float = 15.0) -> bool:
    """Whether a condition comes true in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def main() -> None:
    """Runs pickled tasks with an executor: a parent that a test may interrupt or kill."""
    from vqbench.run.executor import Executor, ExecutorOptions

    folder, jobs, preload = Path(sys.argv[1]), int(sys.argv[2]), tuple(sys.argv[3:])
    tasks = pickle.loads((folder / "tasks").read_bytes())
    listener = Listener()
    options = ExecutorOptions(
        entry=ENTRY, log_path=lambda id: folder / f"{id}.log", jobs=jobs, cores=2, preload=preload, grace=5.0
    )
    try:
        Executor(options, listener).execute(tasks)
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        statuses = {id: failure.status for id, failure in listener.failures.items()}
        (folder / "outcome").write_text(repr((listener.ended("done"), statuses, "torch" in sys.modules)))


if __name__ == "__main__":
    main()
