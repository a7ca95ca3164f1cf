"""What is checked: a registered component with parameters."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any

from vqbench.catalog import Catalog, CatalogOptions, Entry, resolve_parameters
from vqbench.catalog.naming import AnyEntry
from vqbench.errors import ParameterError
from vqbench.specs import Parameters

__all__ = ["Subject", "subject"]


@dataclass(frozen=True, kw_only=True, eq=False)  # hashed by identity: what checks build of it is kept
class Subject:
    """A component under test.

    Attributes:
        entry: what the catalog knows of it: its kind, id and descriptor.
        catalog: where other components are found (a backbone for a quantizer, say).
        given: the parameters that were set; the others have their defaults.

    Raises:
        ParameterError: a given parameter is unknown, of the wrong type or out of range, or a file (a suite) has none.
    """

    entry: AnyEntry
    catalog: Catalog
    given: Parameters = field(default_factory=dict)

    def __post_init__(self) -> None:
        _ = self.parameters

    @property
    def parameters(self) -> dict[str, Any]:
        """All parameters, complete and in their canonical form."""
        if isinstance(self.entry, Entry):
            return resolve_parameters(self.entry.spec, self.given)
        if self.given:
            raise ParameterError(
                f"{self.entry.kind} {self.entry.id!r} is a file, which has no parameters", got=dict(self.given)
            )
        return {}

    def __str__(self) -> str:
        """The id with the parameters that were set: ``my-plugin/rounding(levels=5)``."""
        given = ", ".join(f"{name}={value}" for name, value in self.given.items())
        return f"{self.entry.id}({given})" if given else self.entry.id


def subject(name: str, catalog: Catalog | None = None, /, **parameters: Any) -> Subject:
    """The component of a name with parameters, e.g. ``subject("my-plugin/rounding", levels=5)``.

    Args:
        name: a short name, a full id, or either after ``kind:`` (``backbone:unet``).
        catalog: where to look; by default the installed plugins.
        parameters: those that should differ from their defaults, say to keep the checks quick.

    Raises:
        UnknownComponentError: there is no such component.
        PluginError: its plugin failed to load.
        ParameterError: a parameter is unknown, of the wrong type or out of range.
    """
    catalog = catalog or _installed()
    return Subject(entry=catalog.find(name), catalog=catalog, given=parameters)


@cache
def _installed() -> Catalog:
    """The installed plugins, loaded once."""
    return Catalog.load(CatalogOptions.from_environment())
