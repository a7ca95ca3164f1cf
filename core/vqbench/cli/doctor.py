"""``vqbench doctor``: is this installation sound?"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from importlib import metadata, util
from pathlib import Path
from typing import Literal

import click

from vqbench.assets import WEIGHTS, missing_weights
from vqbench.catalog import Catalog, CatalogOptions, missing_requirements
from vqbench.cli.options import catalog_options, json_option
from vqbench.cli.output import echo_json, printable
from vqbench.cli.trial import casualties

__all__ = ["doctor"]

OLDEST_TORCH = (2, 8)
IMPORTS = (
    "numpy",
    "scipy",
    "skimage",
    "torch",
    "torchvision",
    "timm",
    "torch_fidelity",
    "safetensors",
    "pydantic",
    "constriction",
)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    level: Literal["ok", "warning", "problem"]
    subject: str
    message: str
    hint: str = ""


@click.command(epilog="Exit code 0: sound (warnings may be shown); 1: something is broken.")
@catalog_options
@json_option
@click.pass_context
def doctor(context: click.Context, catalog_options: CatalogOptions, as_json: bool) -> None:
    """Check that this installation is sound: packages, GPU, photos, weights, plugins.

    \b
    Examples:
      vqbench doctor
      vqbench doctor --json
    """
    findings = [*_packages(), *_torch(), *_photos(), *_weights(), *_plugins(catalog_options)]
    if as_json:
        echo_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            mark = {"ok": "ok     ", "warning": "warning", "problem": "PROBLEM"}[finding.level]
            click.echo(f"{mark}  " + printable(f"{finding.subject}: {finding.message}"))
            if finding.hint:
                click.echo(f"{'':9}{printable(f'→ {finding.hint}')}")
    context.exit(any(finding.level == "problem" for finding in findings))


def _packages() -> Iterator[Finding]:
    """Every package is imported in a process of its own, so that a crash is a finding too."""
    running = ".".join(map(str, sys.version_info[:3]))
    yield Finding(level="ok" if sys.version_info >= (3, 11) else "problem", subject="Python", message=running)
    code = "import importlib, sys; importlib.import_module(sys.argv[1])"
    started = {
        name: subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", code, name],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in IMPORTS
    }
    for name, process in started.items():
        _, errors = process.communicate()
        if process.returncode == 0:
            yield Finding(level="ok", subject=name, message=_version(name))
            continue
        last = next((line for line in reversed(errors.splitlines()) if line.strip()), f"exit {process.returncode}")
        yield Finding(
            level="problem", subject=name, message=f"{_version(name)} does not import: {last}", hint=_advice(last)
        )


def _advice(message: str) -> str:
    if "torchvision::nms" in message or "operator torchvision" in message:
        return (
            "torch and torchvision come from different builds (a +cpu torch beside the registry's torchvision): "
            "reinstall both with one command, `pip install --force-reinstall torch torchvision`."
        )
    return "Reinstall it: `pip install --force-reinstall vqbench`."


def _version(module: str) -> str:
    try:
        return metadata.version({"skimage": "scikit-image", "torch_fidelity": "torch-fidelity"}.get(module, module))
    except metadata.PackageNotFoundError:
        return "not installed"


def _torch() -> Iterator[Finding]:
    """Version, matching builds, devices."""
    torch_version = _version("torch")
    if torch_version == "not installed":
        return
    if tuple(int(part) for part in torch_version.split("+")[0].split(".")[:2]) < OLDEST_TORCH:
        yield Finding(
            level="problem", subject="torch", message=f"{torch_version} is older than 2.8", hint="Upgrade it."
        )
    code = (
        "import json, torch; print(json.dumps({'cuda': torch.version.cuda, 'threads': torch.get_num_threads(),"
        " 'gpus': [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]"
        " if torch.cuda.is_available() else []}))"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False)
    if done.returncode:
        return  # its import has been reported already
    state = json.loads(done.stdout.splitlines()[-1])
    if state["gpus"]:
        yield Finding(level="ok", subject="GPU", message=", ".join(state["gpus"]))
    elif Path("/dev/nvidia0").exists():
        yield Finding(
            level="warning",
            subject="GPU",
            message=f"there is one, but torch ({(state['cuda'] and 'CUDA ' + state['cuda']) or 'a CPU build'}) cannot use it",
            hint="Check the driver with nvidia-smi.",
        )
    else:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        yield Finding(level="ok", subject="GPU", message=f"none; runs on the CPU ({cores} cores)")


def _photos() -> Iterator[Finding]:
    """The photos that the main job trains on."""
    spec = util.find_spec("skimage")
    folder = Path(next(iter(spec.submodule_search_locations or ["."]))) / "data" if spec else None
    if folder and (folder / "astronaut.png").is_file():
        yield Finding(level="ok", subject="photos", message=f"bundled with scikit-image {_version('skimage')}")
    else:
        yield Finding(
            level="problem",
            subject="photos",
            message="scikit-image's bundled photos are missing",
            hint="`pip install --force-reinstall scikit-image`",
        )


def _weights() -> Iterator[Finding]:
    """Which weights are here, going by their names: `vqbench weights status` verifies them."""
    missing = missing_weights(tuple(WEIGHTS))
    here = ", ".join(name for name in WEIGHTS if name not in missing) or "none"
    if missing:
        message = f"{here} here; metrics that need {' or '.join(missing)} are null"
        yield Finding(level="warning", subject="weights", message=message, hint="`vqbench weights fetch` gets them.")
    else:
        yield Finding(level="ok", subject="weights", message=f"{here} here")


def _plugins(options: CatalogOptions) -> Iterator[Finding]:
    """Plugins that cannot be loaded or fail, and components that lack something."""
    fatal = list(casualties(options))
    for casualty in fatal:
        yield Finding(
            level="problem",
            subject=f"plugin {casualty.plugin}",
            message=casualty.how,
            hint=f"Every command needs `--no-plugin {casualty.plugin}`, or VQBENCH_DISABLE_PLUGIN_AUTOLOAD=1; or uninstall it.",
        )
    catalog = Catalog.load(replace(options, disabled=(*options.disabled, *(c.plugin for c in fatal))))
    for note in catalog.notes:
        yield Finding(level="warning", subject="plugins", message=note)
    for failure in catalog.failures:
        yield Finding(
            level="warning",
            subject=f"plugin {failure.plugin}",
            message=f"failed at {failure.stage}: {failure.message}",
            hint="`vqbench plugins` shows the traceback.",
        )
    for entry in catalog.entries():
        for requirement in missing_requirements(entry.spec):
            yield Finding(
                level="warning",
                subject=entry.id,
                message=f"{requirement.module} is not installed",
                hint=requirement.install,
            )
    yield Finding(level="ok", subject="plugins", message=f"{len(catalog.entries())} components registered")
