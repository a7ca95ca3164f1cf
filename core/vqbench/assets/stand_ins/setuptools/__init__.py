"""Stands in for setuptools where pip asks for the metadata of an sdist that is only downloaded: its code is not run."""
