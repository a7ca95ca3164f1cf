"""The command line. Commands load when called: ``vqbench --help`` imports none of them."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import select
import sys
import traceback
from collections.abc import Iterator
from importlib import import_module
from typing import Any, NamedTuple

import click

from vqbench import __version__
from vqbench.cli.output import printable
from vqbench.errors import VQBenchError, closest

__all__ = ["main"]


class _Lazy(NamedTuple):
    target: str
    help: str


COMMANDS = {
    "run": _Lazy("vqbench.cli.run:run", "Train, convert and evaluate the cells of a suite."),
    "plan": _Lazy("vqbench.cli.plan:plan", "Show what `run` would do, without doing it."),
    "list": _Lazy("vqbench.cli.list:list_components", "List quantizers, backbones, datasets, metrics and suites."),
    "show": _Lazy("vqbench.cli.show:show", "Show everything about one component."),
    "plugins": _Lazy("vqbench.cli.plugins:plugins", "List plugins, and why some failed to load."),
    "weights": _Lazy("vqbench.cli.weights:weights", "Fetch pretrained networks, or see which are here."),
    "data": _Lazy("vqbench.cli.data:data", "Fetch datasets, or see which are here."),
    "doctor": _Lazy("vqbench.cli.doctor:doctor", "Check that this installation is sound."),
    "leaderboard": _Lazy("vqbench.cli.leaderboard:leaderboard", "Rank the records of a results folder."),
    "compare": _Lazy("vqbench.cli.compare:compare", "Compare two result sets: a gate for continuous integration."),
    "check": _Lazy("vqbench.cli.check:check", "Check that a plugin's components do what they should."),
    "new-plugin": _Lazy("vqbench.cli.new_plugin:new_plugin", "Write a plugin project to start from."),
    "results": _Lazy("vqbench.cli.results:results", "Import benchmarks into a results folder, merge runs."),
}

# Exit codes; 1 is for a command that is done but found failed or regressed cells.
WRONG = 2
INTERRUPTED = 128 + 2  # what a shell shows of a process that SIGINT ended
BROKEN_PIPE = 128 + 13  # and SIGPIPE: `vqbench list | head -1`


class LazyGroup(click.Group):
    """A group that imports a command when it is called, and turns errors into one message and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].target.partition(":")
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, lazy.help) for name, lazy in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS and not args[0].startswith("-") and not ctx.resilient_parsing:
            hint = closest(args[0], COMMANDS)
            raise click.UsageError(f"There is no command {args[0]!r}." + (f" {hint}" if hint else ""), ctx)
        return super().resolve_command(ctx, args)

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        with _exit_codes(debug="--debug" in args):
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        with _exit_codes(debug=bool(ctx.params.get("debug"))):
            return super().invoke(ctx)


@contextlib.contextmanager
def _exit_codes(*, debug: bool) -> Iterator[None]:
    try:
        yield
        sys.stdout.flush()
    except (click.exceptions.Exit, click.ClickException):
        raise  # click's own way out
    except (KeyboardInterrupt, click.Abort) as error:
        _report("interrupted", error, debug)
        raise click.exceptions.Exit(INTERRUPTED) from None
    except VQBenchError as error:
        _report(f"error: {error}", error, debug)
        raise click.exceptions.Exit(WRONG) from None
    except Exception as error:
        if isinstance(error, BrokenPipeError) and _reader_is_gone():
            raise click.exceptions.Exit(BROKEN_PIPE) from None
        what = f"error: {type(error).__name__}: {error} (this is a bug; `vqbench --debug …` shows where)"
        _report(what, error, debug)
        raise click.exceptions.Exit(WRONG) from None


def _report(message: str, error: BaseException, debug: bool) -> None:
    if debug:
        details = "".join(traceback.format_exception(error))
        click.echo(printable(details, multiline=True), err=True, nl=False)
    click.echo(printable(f"vqbench: {message}", multiline=True), err=True)


def _reader_is_gone() -> bool:
    """Whether a standard stream is a broken pipe; if so it is silenced, or Python would complain about it on exit.

    Not every BrokenPipeError is about them: a worker process may have died.
    """
    gone = False
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # a stream without a file, as in tests
            poll = select.poll()
            poll.register(stream.fileno(), select.POLLOUT)
            if any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0)):
                gone = True
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return gone


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done; 1 done, but cells failed or regressed; 2 wrong usage or bad input; 130 interrupted.",
)
@click.version_option(__version__, prog_name="vqbench")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(debug: bool) -> None:
    """Benchmark discrete image tokenizers: quantizers x backbones x datasets.

    \b
    Examples:
      vqbench run                 train and evaluate the quickstart suite
      vqbench plan my-suite.toml  what that suite would run
      vqbench list quantizers     which quantizers there are
      vqbench show fsq            everything about one of them
    """
    if not faulthandler.is_enabled():
        with contextlib.suppress(OSError, ValueError, AttributeError):  # a stream without a file, as in tests
            faulthandler.enable()  # code in C that crashes shows in whose file it did
    for stream in (sys.stdout, sys.stderr):
        # a terminal that cannot show × shows \xd7, instead of failing
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
