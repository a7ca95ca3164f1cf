"""The catalog: which plugins and components there are, and how their names and parameters resolve."""

from vqbench.catalog.answers import assets_of, check_levels, fetch_dataset, levels_of, revision_of, training_of
from vqbench.catalog.catalog import Catalog
from vqbench.catalog.naming import KINDS, Entry, PublishedEntry, SuiteEntry
from vqbench.catalog.options import CatalogOptions
from vqbench.catalog.outcome import DisabledPlugin, LoadedPlugin, PluginFailure
from vqbench.catalog.parameters import resolve_parameters
from vqbench.catalog.targets import load_target, missing_requirements

__all__ = [
    "KINDS",
    "Catalog",
    "CatalogOptions",
    "DisabledPlugin",
    "Entry",
    "LoadedPlugin",
    "PluginFailure",
    "PublishedEntry",
    "SuiteEntry",
    "assets_of",
    "check_levels",
    "fetch_dataset",
    "levels_of",
    "load_target",
    "missing_requirements",
    "resolve_parameters",
    "revision_of",
    "training_of",
]
