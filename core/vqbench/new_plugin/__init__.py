"""A new plugin: a complete project that works as it is written, for its author to change."""

from vqbench.new_plugin.project import KINDS, Names, Project, make_project, write_project

__all__ = ["KINDS", "Names", "Project", "make_project", "write_project"]
