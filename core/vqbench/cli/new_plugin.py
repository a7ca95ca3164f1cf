"""``vqbench new-plugin``: a plugin project to start from."""

from __future__ import annotations

from pathlib import Path

import click

from vqbench.new_plugin import KINDS, Names, make_project, write_project

__all__ = ["new_plugin"]


@click.command("new-plugin")
@click.argument("name")
@click.option("--kind", type=click.Choice(list(KINDS)), default="quantizer", show_default=True, help="What it adds.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Where the project goes; by default a new folder NAME.",
)
def new_plugin(name: str, kind: str, out: Path | None) -> None:
    """Write a plugin project that installs, works and passes its own tests, for you to change.

    NAME is that of the distribution, say vqbench-rounding; the component is called the same without vqbench-.

    \b
    Examples:
      vqbench new-plugin vqbench-rounding
      vqbench new-plugin vqbench-mixer --kind backbone
      vqbench new-plugin vqbench-textures --kind dataset --out ~/textures
    """
    names = Names(name)
    folder = out if out is not None else Path(names.plugin)
    project = make_project(names, kind)
    write_project(project, folder)
    click.echo(f"Wrote {folder}:\n")
    for path in project.files:
        click.echo(f"  {path}")
    click.echo(
        f"\nNext, in an environment that has vqbench:\n\n  cd {folder}\n"
        "  pip install --upgrade pip       # --group needs 25.1 or newer\n  pip install -e . --group test\n  pytest\n"
        f"  vqbench check {names.plugin}\n  vqbench run {project.suite}"
    )
