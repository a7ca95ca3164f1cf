"""A build backend that knows one name and version and builds nothing."""

import os
import pathlib


class _Backend:
    @staticmethod
    def get_requires_for_build_wheel(config_settings: object = None) -> list[str]:
        return []

    @staticmethod
    def prepare_metadata_for_build_wheel(metadata_directory: str, config_settings: object = None) -> str:
        name, _, version = os.environ["VQBENCH_STAND_IN"].partition("==")
        folder = pathlib.Path(metadata_directory, f"{name.replace('-', '_')}-{version}.dist-info")
        folder.mkdir()
        folder.joinpath("METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        return folder.name


__legacy__ = _Backend
get_requires_for_build_wheel = _Backend.get_requires_for_build_wheel
prepare_metadata_for_build_wheel = _Backend.prepare_metadata_for_build_wheel
