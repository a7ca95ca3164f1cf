"""One component in JSON, and as text."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from vqbench.assets import missing_weights
from vqbench.catalog import (
    Catalog,
    Entry,
    assets_of,
    levels_of,
    missing_requirements,
    resolve_parameters,
    revision_of,
    training_of,
)
from vqbench.catalog.naming import AnyEntry
from vqbench.cli.output import printable, table
from vqbench.errors import VQBenchError
from vqbench.rate import Bits, LevelRate
from vqbench.specs import (
    BackboneSpec,
    DatasetSpec,
    MetricSpec,
    Parameter,
    Parameters,
    PublishedSpec,
    QuantizerSpec,
    SuiteSpec,
)

__all__ = ["describe_component", "render"]

MAX_FILE_TEXT = 100_000


def describe_component(catalog: Catalog, entry: AnyEntry) -> dict[str, Any]:
    """Everything about a component as JSON values.

    What the component's own functions say (levels, what it trains as, revision) is asked with its default parameters;
    one that raises becomes ``{"error": message}``.
    """
    described: dict[str, Any] = {
        "kind": entry.kind,
        "id": entry.id,
        "name": catalog.short_name(entry),
        "summary": entry.spec.summary,
        "plugin": entry.plugin,
        "distribution": entry.distribution,
        "distribution_version": entry.distribution_version,
    }
    if isinstance(entry, Entry):
        return described | _component(entry)
    return described | _file(entry.spec)


def _component(entry: Entry) -> dict[str, Any]:
    spec = entry.spec
    missing = missing_requirements(spec)
    described: dict[str, Any] = {
        "version": spec.version,
        "target": spec.target,
        "paper": spec.paper,
        "licence": spec.licence,
        "capabilities": sorted(spec.capabilities),
        "requires": [{"module": r.module, "install": r.install, "installed": r not in missing} for r in spec.requires],
        "parameters": [_parameter(p) for p in spec.parameters],
        "presets": {name: dict(values) for name, values in spec.presets.items()},
    }
    defaults = resolve_parameters(spec)
    if isinstance(spec, QuantizerSpec):
        described["objective"] = spec.objective
        described["trains_as"] = _asked(lambda: _trains_as(entry, defaults))
        described["levels"] = _asked(lambda: _levels(entry, defaults))
    elif isinstance(spec, DatasetSpec):
        described["image_sizes"] = None if spec.image_sizes is None else list(spec.image_sizes)
        described["revision"] = _asked(lambda: revision_of(entry, defaults))
        described["assets"] = _asked(lambda: _assets(entry, defaults))
    elif isinstance(spec, MetricSpec):
        described |= {"unit": spec.unit, "better": spec.better, "protocol": spec.protocol}
        described["weights"] = {name: not missing_weights([name]) for name in spec.weights}
    else:
        assert isinstance(spec, BackboneSpec)
    return described


def _parameter(p: Parameter) -> dict[str, Any]:
    return {
        "name": p.name,
        "type": p.type,
        "default": p.default,
        "choices": None if p.choices is None else list(p.choices),
        "minimum": p.minimum,
        "maximum": p.maximum,
        "summary": p.summary,
    }


def _assets(entry: Entry, parameters: Parameters) -> list[dict[str, Any]]:
    return [
        {"name": a.name, "licence": a.licence, "source": a.source, "command": a.command, "bytes": a.forms[0].size}
        for a in assets_of(entry, parameters)
    ]


def _levels(entry: Entry, parameters: Parameters) -> list[dict[str, Any]]:
    return [
        {
            "relative_stride": level.relative_stride,
            "latent_channels": level.latent_channels,
            "code_channels": level.code_channels,
            "codebook_sizes": list(level.codebook_sizes),
            "bits_per_position": float(Bits.of([LevelRate(height=1, width=1, codebook_sizes=level.codebook_sizes)]))
            if level.codebook_sizes
            else None,
        }
        for level in levels_of(entry, parameters)
    ]


def _trains_as(entry: Entry, parameters: Parameters) -> dict[str, Any] | None:
    other = training_of(entry, parameters)
    return None if other is None else {"quantizer": other.quantizer, "parameters": dict(other.parameters)}


def _file(spec: SuiteSpec | PublishedSpec) -> dict[str, Any]:
    with spec.path.open(encoding="utf-8", errors="replace") as file:
        text = file.read(MAX_FILE_TEXT)
    return {"path": str(spec.path), "text": text}


def _asked(question: Callable[[], Any]) -> Any:
    """The answer of a function of the component, or why there is none."""
    try:
        return question()
    except VQBenchError as error:
        return {"error": str(error)}


def render(described: dict[str, Any]) -> str:
    """What :func:`describe_component` returned, as text."""
    source = described["plugin"]
    if described["distribution"]:
        source += f" (distribution {described['distribution']} {described['distribution_version']})"
    facts = {"id": described["id"], "plugin": source}
    for key in ("version", "target", "paper", "licence", "objective", "unit", "better", "protocol", "path"):
        if described.get(key) is not None:
            facts[key] = described[key]
    if described.get("capabilities"):
        facts["capabilities"] = ", ".join(described["capabilities"])
    for name, here in described.get("weights", {}).items():
        facts[f"weights {name}"] = "here" if here else f"MISSING: vqbench weights fetch {name}"
    for requirement in described.get("requires", ()):
        state = "installed" if requirement["installed"] else f"MISSING: {requirement['install']}"
        facts[f"requires {requirement['module']}"] = state
    if "revision" in described:
        facts["revision"] = _error(described["revision"]) or described["revision"]
    if described.get("image_sizes"):
        facts["image sizes"] = _ranges(described["image_sizes"])
    if error := _error(described.get("assets")):
        facts["source"] = error
    else:
        for asset in described.get("assets") or ():
            facts |= {"source": f"{asset['source']} Licence: {asset['licence']}.", "fetched by": asset["command"]}
    width = max(map(len, facts))
    parts = [f"{described['kind']} {described['name']}: {described['summary']}"]
    parts.append("\n".join(printable(key).ljust(width + 2) + printable(value) for key, value in facts.items()))
    if "parameters" in described:
        parts.append(_render_parameters(described["parameters"]))
    if described.get("presets"):
        presets = [f"  {name}: {_assignments(values)}" for name, values in described["presets"].items()]
        parts.append("Presets\n\n" + "\n".join(presets))
    if described["kind"] == "quantizer":
        parts.append(_render_levels(described["levels"]))
        parts.append(_render_training(described["trains_as"]))
    if "text" in described:
        parts.append(described["text"].rstrip())
    return "\n\n".join(parts)


def _render_parameters(parameters: list[dict[str, Any]]) -> str:
    if not parameters:
        return "It has no parameters."
    rows = [(p["name"], p["type"], json.dumps(p["default"]), _allowed(p), p["summary"]) for p in parameters]
    return "Parameters\n\n" + table(("name", "type", "default", "allowed", "summary"), rows, wrap="summary")


def _allowed(p: dict[str, Any]) -> str:
    if p["choices"] is not None:
        return ", ".join(json.dumps(c) for c in p["choices"])
    low, high = p["minimum"], p["maximum"]
    if low is not None and high is not None:
        return f"{low} to {high}"
    return f"at least {low}" if low is not None else f"at most {high}" if high is not None else ""


def _render_levels(levels: Any) -> str:
    if error := _error(levels):
        return f"Levels with default parameters: {error}"
    rows = [
        (
            level["relative_stride"],
            level["latent_channels"],
            level["code_channels"],
            _sizes(level["codebook_sizes"]),
            "continuous" if level["bits_per_position"] is None else f"{level['bits_per_position']:.6g}",
        )
        for level in levels
    ]
    headers = ("stride", "latent channels", "code channels", "codebook sizes", "bits per position")
    return "Levels with default parameters, coarse to fine\n\n" + table(headers, rows)


def _ranges(sizes: list[int]) -> str:
    """Image sizes, those without gaps as ``1 to 120``."""
    if len(sizes) > 2 and sizes == list(range(sizes[0], sizes[-1] + 1)):
        return f"{sizes[0]} to {sizes[-1]}"
    return ", ".join(map(str, sizes))


def _sizes(sizes: list[int]) -> str:
    """Codebook sizes; equal ones in a row as ``2 x 14``."""
    runs: list[list[int]] = []
    for size in sizes:
        if runs and runs[-1][0] == size:
            runs[-1][1] += 1
        else:
            runs.append([size, 1])
    return ", ".join(f"{size} x {count}" if count > 1 else str(size) for size, count in runs)


def _render_training(trains_as: Any) -> str:
    if error := _error(trains_as):
        return f"Trains as: {error}"
    if trains_as is None:
        return "Trains as itself with default parameters."
    given = _assignments(trains_as["parameters"])
    return f"Trains as {trains_as['quantizer']}{f' ({given})' if given else ''} with default parameters."


def _assignments(values: dict[str, Any]) -> str:
    return printable(", ".join(f"{name}={json.dumps(value)}" for name, value in values.items()))


def _error(answer: Any) -> str | None:
    return str(answer["error"]) if isinstance(answer, dict) and "error" in answer else None
