"""Documents and docstrings make a site: without warnings, network or torch, and with nothing lost on the way."""

import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from urllib.parse import unquote

import pytest
from markdown_it import MarkdownIt

import vqbench
from vqbench import hookspecs

ROOT = Path(__file__).parents[2]
HOOKS = [name for name in vars(hookspecs) if name.startswith("vqbench_")]
REFERENCE = {
    "descriptors": "specs",
    "quantizer": "interfaces.quantizer",
    "backbone": "interfaces.backbone",
    "dataset": "interfaces.dataset",
    "metric": "interfaces.metric",
    "ops": "ops",
    "assets": "assets",
    "testing": "testing",
    "errors": "errors",
}
"""Pages, and the modules below ``vqbench`` whose public names are on them."""

TRAPS = {
    "torch.py": "raise SystemExit('the site was built with torch')",
    "sitecustomize.py": """
import socket

def refuse(*_):
    raise SystemExit("the site was built with the network")

socket.socket.connect = socket.create_connection = refuse
""",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder, traps = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("traps")
    for name, text in TRAPS.items():
        (traps / name).write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(traps)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def reference(site, page):
    return (site / "reference" / page / "index.html").read_text()


def documented(html):
    return set(re.findall(r'id="vqbench[\w.]*\.(\w+)"', html))


def test_every_hook_is_in_the_reference_with_its_example_as_code(site):
    html = reference(site, "hooks")
    assert len(HOOKS) >= 6
    for hook in HOOKS:
        section = html.split(f'id="vqbench.hookspecs.{hook}"')[1].split("<h2")[0]
        code = [re.sub(r"<[^>]+>", "", block) for block in re.findall(r"<pre.*?</pre>", section, re.DOTALL)]
        assert any("@hookimpl" in block and f"def {hook}():" in block for block in code), hook


@pytest.mark.parametrize("page", REFERENCE)
def test_every_public_name_of_a_module_is_on_its_page(site, page):
    assert set(import_module(f"vqbench.{REFERENCE[page]}").__all__) <= documented(reference(site, page))


def test_everything_importable_from_vqbench_is_in_the_reference(site):
    pages = [page.read_text() for page in (site / "reference").rglob("*.html")]
    assert set(vqbench.__all__) <= set().union(*map(documented, pages))


def test_no_markup_of_docstrings_is_left_over(site):
    for page in (site / "reference").rglob("*.html"):
        article = page.read_text().split("<article")[1].split("</article")[0]
        prose = re.sub(r"<pre.*?</pre>", "", article, flags=re.DOTALL)
        assert not re.search(r":(class|func|meth|mod|data|attr):|::|``", prose), page


def test_documents_look_on_the_site_as_they_do_in_the_repository(site):
    markdown = MarkdownIt("commonmark").enable("table")
    documents = [*ROOT.glob("docs/*.md"), *ROOT.glob("results/published/*/*.md"), ROOT / "benchmarks/README.md"]
    for document in documents:
        path = document.relative_to(ROOT / "docs" if document.parent.name == "docs" else ROOT)
        folder = path.parent if path.stem in ("index", "README") else path.with_suffix("")
        article = (site / folder / "index.html").read_text().split("<article")[1].split("</article")[0]
        assert structure(article) == structure(markdown.render(document.read_text())), document


def structure(html):
    tags = ("h1", "h2", "h3", "ul", "ol", "li", "table", "tr", "pre", "code", "strong", "em")
    return {tag: len(re.findall(rf"<{tag}[ >]", html)) for tag in tags}


def test_the_pages_load_nothing_from_elsewhere(site):
    for page in site.rglob("*.html"):
        assert not re.search(r'<(script|link|img|iframe)[^>]*(src|href)="(https?:)?//', page.read_text()), page


def test_every_link_leads_to_a_file_of_the_site(site):
    for page in site.rglob("index.html"):
        for link in re.findall(r'<(?:a|img)[^>]* (?:href|src)="([^"#?]+)', page.read_text()):
            if not re.match(r"[a-z]+:", link):
                target = page.parent / unquote(link)
                assert (target / "index.html" if target.is_dir() else target).is_file(), f"{page}: {link}"
