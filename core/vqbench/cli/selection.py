"""Options that ``run`` and ``plan`` share: which suite, which part of it, with which changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from vqbench.cli.output import printable

if TYPE_CHECKING:
    from vqbench.catalog import CatalogOptions
    from vqbench.plan import Plan, Skip

__all__ = ["DEFAULT_RESULTS", "Selection", "selection_options", "skipped"]

DEFAULT_RESULTS = Path("results/local")
Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What the user selected on the command line."""

    suite: str
    results: Path
    quantizers: tuple[str, ...]
    backbones: tuple[str, ...]
    datasets: tuple[str, ...]
    seeds: tuple[int, ...]
    overrides: tuple[str, ...]

    def plan(self, options: CatalogOptions) -> Plan:
        """Plan the selection; what went wrong with installed plugins is said on standard error.

        Raises:
            PluginError: a plugin that was named on the command line cannot be loaded.
            VQBenchError: unknown names, a malformed suite, wrong parameters, unequal bits.
        """
        from vqbench.catalog import Catalog
        from vqbench.cli.output import echo_notes
        from vqbench.plan import PlanFilter, build_plan, load_suite
        from vqbench.plan.locate import locate_suite

        catalog = Catalog.load(options)
        for failure in catalog.failures:
            if failure.distribution is None:  # it was not found installed but asked for
                raise failure.error()
        echo_notes(catalog)
        path = locate_suite(self.suite, catalog)
        only = PlanFilter(
            quantizers=self.quantizers, backbones=self.backbones, datasets=self.datasets, seeds=self.seeds
        )
        return build_plan(load_suite(path, self.overrides), catalog, source=str(path), only=only)


_OPTIONS = (
    click.argument("suite", default="quickstart"),
    click.option(
        "--results",
        type=click.Path(path_type=Path, file_okay=False),
        default=DEFAULT_RESULTS,
        show_default=True,
        help="Where records, checkpoints and leaderboards lie.",
    ),
    click.option("-q", "--quantizer", "quantizers", multiple=True, metavar="GLOB", help="Only these quantizers."),
    click.option("-b", "--backbone", "backbones", multiple=True, metavar="GLOB", help="Only these backbones."),
    click.option("-d", "--dataset", "datasets", multiple=True, metavar="GLOB", help="Only these datasets."),
    click.option("-s", "--seed", "seeds", multiple=True, type=int, help="Only these seeds."),
    click.option(
        "--set",
        "overrides",
        multiple=True,
        metavar="KEY=VALUE",
        help="Change the suite, e.g. recipe.steps=50 or data.params.root=photos/.",
    ),
)


def selection_options(command: Command) -> Command:
    """Give a command the argument SUITE and the selecting options; it gets one ``selection``."""

    def collected(*args: Any, **kwargs: Any) -> Any:
        fields = {name: kwargs.pop(name) for name in Selection.__dataclass_fields__}
        return command(*args, selection=Selection(**fields), **kwargs)

    collected.__name__, collected.__doc__ = command.__name__, command.__doc__
    collected.__dict__.update(command.__dict__)
    for option in reversed(_OPTIONS):
        collected = option(collected)
    return collected  # type: ignore[return-value]


def skipped(skips: Iterable[Skip]) -> list[str]:
    """A line for each reason why combinations will not run: which one, or how many."""
    reasons: dict[str, list[Skip]] = {}
    for skip in skips:
        reasons.setdefault(skip.reason, []).append(skip)
    lines = []
    for reason, same in reasons.items():
        first = " × ".join((same[0].quantizer, same[0].backbone, same[0].dataset))
        names = first if len(same) == 1 else f"{len(same)} combinations, the first {first}"
        lines.append(printable(f"{names}: {reason}"))
    return lines
