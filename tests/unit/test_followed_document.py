"""A followed document fails where a reader would be let down."""

from __future__ import annotations

import pytest
from followed_document import blocks_of, change, follow, says
from fresh_environment import FreshEnvironment


@pytest.fixture
def shell(tmp_path):
    return FreshEnvironment(folder=tmp_path, environment={"PATH": "/usr/bin:/bin"})


def test_files_are_written_changed_and_used_in_the_folder_where_the_shell_stands(tmp_path, shell):
    document = """
```sh
mkdir project && cd project
```
```toml title="sub/a.toml"
x = 1
y = 2
```
```diff title="sub/a.toml"
 x = 1
-y = 2
+y = 3
```
```sh
cat sub/a.toml
```
```text
x = 1
y = 3
```
"""
    assert follow(document, tmp_path, shell) == tmp_path / "project"


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ("```sh\nfalse\n```", "exited with 1"),
        ("```sh\nfalse | true\ntrue\n```", "exited with 1"),
        ("<!-- exits with 1 -->\n```sh\ntrue\n```", "exited with 0"),
        ("```sh\necho one\n```\n```text\ntwo\n```", "is not what was printed"),
        ("```python\nprint(1)\n```", "neither a file, nor commands, nor their output"),
        ("````sh\ntrue\n````", "a fence that is no block"),
        ("    ```sh\n    true\n    ```\n```sh\ntrue\n", "a fence that is no block"),
    ],
)
def test_what_does_not_hold_is_found(tmp_path, shell, block, message):
    with pytest.raises(AssertionError, match=message):
        follow(f"{block}\n", tmp_path, shell)


def test_an_announced_failure_is_awaited(tmp_path, shell):
    follow("<!-- exits with 3 -->\n```sh\necho no; exit 3\n```\n```text\nno\n```\n", tmp_path, shell)


def test_each_part_of_a_change_must_fit_exactly_one_place(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("a\nb\nc\n")
    change(path, "-a\n+A\n@@\n b\n+B\n c\n")
    assert path.read_text() == "A\nb\nB\nc\n"
    for text in ("a\n", "b\nb\n"):
        path.write_text(text)
        with pytest.raises(AssertionError, match=r"a\.txt has \d places like"):
            change(path, "-b\n+c\n")


@pytest.mark.parametrize(
    ("expected", "agrees"),
    [
        ("n   psnr [dB]\n-  ----\n256 16.0 ±0.3\nthe end", True),
        ("…\n256 … ±0.3\n…", True),
        ("…\nthe …", True),
        ("…\nthe e…", True),
        ("…\nthe f…", False),
        ("n psnr [dB]\n- -\n256 14.0 ±0.3\nthe end", True),
        ("n psnr [dB]\n- -\n256 12.0 ±0.3\nthe end", False),
        ("n psnr [dB]\n- -\n255 16.0 ±0.3\nthe end", False),
        ("…\n256 16.0\n…", False),
        ("n psnr [dB]\n- -\n256 16.0 ±0.3", False),
        ("the end\n…", False),
    ],
)
def test_expected_output_is_compared_word_by_word_and_decimals_with_tolerance(expected, agrees):
    assert says("n psnr [dB]\n\n--- ---\n256  16.0 ±0.3\nthe end\n", expected) is agrees


def test_every_block_of_a_document_has_its_line():
    assert [(b.language, b.line) for b in blocks_of("\n```sh\nx\n```\n\n```text\ny\n```\n")] == [("sh", 2), ("text", 6)]
