"""Pages of the repository that lie outside ``docs/``: published leaderboards, benchmarks, changes.

Links between them and the documents stay what they are in the repository, relative paths. So the site knows these pages by the
names that they have seen from ``docs/``, with ``..``, and has them where they are seen from the root.
"""

import re
from pathlib import Path, PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

PAGES = ("results/published/*/*.md", "results/published/*/*.png", "benchmarks/README.md", "CHANGELOG.md")
BOARDS = "results/published/*/LEADERBOARD.md"


def on_config(config: MkDocsConfig) -> None:
    """Put the published boards in front of the results."""
    assert config.nav
    [results] = (section["Results"] for section in config.nav if "Results" in section)
    results[:0] = [{PurePosixPath(path).parent.name: f"../{path}"} for path in _paths(config, BOARDS)]


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Add the pages."""
    for path in (path for pattern in PAGES for path in _paths(config, pattern)):
        inside = File(path, None, config.site_dir, config.use_directory_urls)
        outside = File(
            f"../{path}", config.docs_dir, config.site_dir, config.use_directory_urls, dest_uri=inside.dest_uri
        )
        outside.inclusion = InclusionLevel.INCLUDED  # else excluded as a path that starts with a dot
        files.append(outside)


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Turn their links to documents into what the site calls those: paths from its root."""
    return re.sub(r"\]\((\.\./)+docs/", "](/", markdown) if page.file.src_uri.startswith("../") else markdown


def _paths(config: MkDocsConfig, pattern: str) -> list[str]:
    root = Path(config.docs_dir).parent
    return sorted(path.relative_to(root).as_posix() for path in root.glob(pattern))
