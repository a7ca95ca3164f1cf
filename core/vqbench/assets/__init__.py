"""Files that are fetched once and verified by hash: pretrained weights and datasets."""

from vqbench.assets.folders import ASSETS_VARIABLE, CACHE_VARIABLE, asset_folders, cache_folder

__all__ = ["ASSETS_VARIABLE", "CACHE_VARIABLE", "asset_folders", "cache_folder"]
