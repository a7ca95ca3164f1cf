"""Files that are fetched once and verified by hash: pretrained weights and datasets."""

from vqbench.assets.asset import (
    Asset,
    AssetFile,
    AssetFolder,
    Download,
    FetchProgress,
    Form,
    Located,
    Package,
    Part,
    Provider,
    Report,
)
from vqbench.assets.fetch import downloads_folder, fetch, forget_downloads, is_offline
from vqbench.assets.find import find, present
from vqbench.assets.folders import ASSETS_VARIABLE, CACHE_VARIABLE, asset_folders, cache_folder
from vqbench.assets.weights import WEIGHTS, locate, missing_weights, weights_asset

__all__ = [
    "ASSETS_VARIABLE",
    "CACHE_VARIABLE",
    "WEIGHTS",
    "Asset",
    "AssetFile",
    "AssetFolder",
    "Download",
    "FetchProgress",
    "Form",
    "Located",
    "Package",
    "Part",
    "Provider",
    "Report",
    "asset_folders",
    "cache_folder",
    "downloads_folder",
    "fetch",
    "find",
    "forget_downloads",
    "is_offline",
    "locate",
    "missing_weights",
    "present",
    "weights_asset",
]
