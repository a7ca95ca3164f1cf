"""Results in a git revision: what is read, and what is refused."""

from __future__ import annotations

import os
import subprocess

import numpy as np
import pytest
from compared import compared, only, save, save_values
from records import make_record

from vqbench.compare import revision
from vqbench.compare.revision import extract_revision
from vqbench.errors import ResultsError

IDENTITY = {f"GIT_{who}_{what}": "test@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


@pytest.fixture
def repository(tmp_path, monkeypatch):
    folder = tmp_path / "repository"
    folder.mkdir()
    for name, value in IDENTITY.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.chdir(folder)
    git("init", "--quiet", "--initial-branch=main")
    return folder


def git(*arguments):
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout.strip()


def commit(message):
    git("add", "--all")
    git("commit", "--quiet", "--message", message)


def test_a_revision_is_compared_with_a_folder_values_and_all(repository):
    images = np.random.default_rng(0).normal(25, 3, 64).astype(np.float32)
    for loss, message in ((0, "base"), (1, "worse")):
        record = make_record(metrics={"psnr": float((images - loss).mean(dtype=np.float64))})
        save(repository / "results", record)
        save_values(repository / "results", record, psnr=images - loss)
        commit(message)
    (repository / "sub").mkdir()
    for base, new in (
        ("HEAD~1:results", "results"),
        ("HEAD~1:results/quickstart", "HEAD:results/quickstart"),
        ("main~1:./results", "main:results/"),
    ):
        found = only(compared(base, new))
        assert (found.verdict, found.method) == ("worse", "paired bootstrap over images")
    single = f"results/quickstart/{record.cell_id}.json"
    assert only(compared(f"HEAD~1:{single}", single)).verdict == "worse"
    os.chdir("sub")
    assert only(compared("HEAD~1:results", "../results")).verdict == "worse"
    assert only(compared("HEAD~1:../results", "../results")).verdict == "worse"


def test_only_regular_files_with_our_names_are_taken(repository, tmp_path):
    record = make_record()
    save(repository / "results", record)
    suite = repository / "results" / "quickstart"
    (suite / "0123456789abcdef.json").symlink_to("/etc/passwd")
    (suite / "LEADERBOARD.md").write_text("x")
    (suite / "checkpoints" / "deep").mkdir(parents=True)
    (suite / "checkpoints" / "deep" / "0123456789abcdef.json").write_text("x")
    (repository / "results" / ".hidden").mkdir()
    (repository / "results" / ".hidden" / "0123456789abcdef.json").write_text("x")
    commit("all")
    target = tmp_path / "target"
    target.mkdir()
    assert extract_revision("HEAD:results", target) == target
    assert [path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()] == [
        f"quickstart/{record.cell_id}.json"
    ]


@pytest.mark.parametrize("name", ["..", "."])
def test_a_tree_that_names_its_parent_leads_nowhere(repository, tmp_path, name):
    """git refuses to make such trees, yet its objects can hold them."""
    blob = subprocess.run(
        ["git", "hash-object", "-w", "--stdin"], input=b"{}", check=True, capture_output=True
    ).stdout.strip()

    def tree(mode, entry, hash_):
        content = f"{mode} {entry}\0".encode() + bytes.fromhex(hash_.decode())
        command = ["git", "hash-object", "-w", "-t", "tree", "--literally", "--stdin"]
        return subprocess.run(command, input=content, check=True, capture_output=True).stdout.strip()

    inner = tree("100644", "0123456789abcdef.json", blob)
    outer = tree("40000", "results", tree("40000", name, inner)).decode()
    made = git("commit-tree", outer, "-m", "evil")
    target = tmp_path / "target"
    target.mkdir()
    extract_revision(f"{made}:results", target)
    assert list(target.iterdir()) == []
    assert not (tmp_path / "0123456789abcdef.json").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nothing:results", "no git revision 'nothing'"),
        ("--output=x:results", "no git revision"),
        ("HEAD:nowhere", "Revision 'HEAD' has no 'nowhere'"),
        ("HEAD:readme.json", "is no record"),
        (":results", "no git revision|no records"),
    ],
)
def test_what_is_not_there_is_one_message(repository, text, message):
    (repository / "readme.json").write_text("{}")
    commit("something")
    with pytest.raises(ResultsError, match=message):
        compared(text, text)


def test_outside_a_repository_it_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(ResultsError, match="not a git repository"):
        compared("HEAD:results", "HEAD:results")


def test_without_git_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ResultsError, match="git cannot be run"):
        compared("HEAD:results", "HEAD:results")


def test_more_than_anyone_needs_is_refused(repository, monkeypatch):
    save(repository / "results", make_record())
    commit("record")
    monkeypatch.setattr(revision, "MOST_BYTES", 100)
    with pytest.raises(ResultsError, match="too large"):
        compared("HEAD:results", "results")
