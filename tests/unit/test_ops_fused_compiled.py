"""The kernels of the fused search through Triton's compiler and NVIDIA's assembler, for GPUs that need not be here.

That they run right is tested elsewhere, in the interpreter or on a GPU. This is about what an interpreter does not show:
that they compile for a chip, fit it, and turn into what they were written for.
"""

from __future__ import annotations

import os
import re
import subprocess
from typing import Any

import pytest

triton = pytest.importorskip("triton")
if os.environ.get("TRITON_INTERPRET") == "1":
    pytest.skip("Triton interprets in this process", allow_module_level=True)

from triton.backends.compiler import GPUTarget  # noqa: E402
from triton.compiler import ASTSource  # noqa: E402

from vqbench.ops import fused_kernels  # noqa: E402

CHIPS = {80: "mma.sync", 90: "wgmma.mma_async", 100: "tcgen05.mma"}
"""Compute capabilities (A100, H100 and H200, B200) and the instruction of their tensor cores."""
SHARED = {80: 166_912, 90: 232_448, 100: 232_448}
"""Bytes of shared memory that a block may take."""
HALVES = {"row_high", "row_low", "code_high", "code_low", "high", "low"}
INTEGERS = {"part_group": "*i32", "index": "*i64"}
NUMBERS = {
    *("rows", "rows_padded", "codes", "part", "rows_order", "codes_order"),
    *("stride", "step", "count", "dim", "largest_stride"),
    *("row_stride", "row_step", "code_stride", "code_step", "code_count", "parts"),
}
ALIGNED = {"rows_padded", "part", "code_stride"}


def compiled(kernel: Any, chip: int, *, pointers: set[str] = frozenset(), **constants: int) -> Any:
    """A kernel compiled for a chip, specialised as it is when launched; ``pointers`` are those of the numbers' names that are."""
    options = {name: constants.pop(name) for name in ("num_warps", "num_stages") if name in constants}
    names = kernel.arg_names
    kinds = {
        name: "constexpr"
        if name in constants
        else INTEGERS.get(name) or ("*fp16" if name in HALVES else "i32" if name in NUMBERS - pointers else "*fp32")
        for name in names
    }
    aligned = [i for i, name in enumerate(names) if kinds[name].startswith("*") or name in ALIGNED]
    source = ASTSource(
        kernel,
        kinds,
        constexprs={(names.index(name),): value for name, value in constants.items()},
        attrs={(i,): [["tt.divisibility", 16]] for i in aligned},
    )
    return triton.compile(source, target=GPUTarget("cuda", chip, 32), options=options)


def scan(chip: int, tiling: Any, width: int) -> Any:
    chunk = min(width, fused_kernels.CHUNK)
    launch = {"num_warps": tiling.num_warps, "num_stages": tiling.num_stages}
    return compiled(fused_kernels.scan.fn, chip, WIDTH=width, CHUNK=chunk, **tiling.kwargs, **launch)


def longest_loop(assembly: str) -> str:
    """The lines between the backward branch that goes back farthest and where it goes."""
    lines, labels, span = assembly.splitlines(), {}, (0, 0)
    for number, line in enumerate(lines):
        if label := re.match(r"(\$L__BB\d+_\d+):", line):
            labels[label[1]] = number
        elif branch := re.search(r"\bbra\S*\s+(\$L__BB\d+_\d+)", line):
            span = max(span, (labels.get(branch[1], number), number), key=lambda s: s[1] - s[0])
    return "\n".join(lines[slice(*span)])


def stack_bytes(kernel: Any, folder: Any) -> int:
    """What each thread keeps in memory because its registers do not suffice."""
    path = folder / "kernel.cubin"
    path.write_bytes(kernel.asm["cubin"])
    command = [triton.knobs.nvidia.cuobjdump.path, "-res-usage", path]
    usage = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    [stack] = re.findall(r"STACK:(\d+)", usage)
    return int(stack)


@pytest.mark.parametrize("chip", CHIPS)
def test_the_scan_multiplies_on_tensor_cores_in_registers_and_shared_memory_alone(chip: int, tmp_path: Any) -> None:
    kernel = scan(chip, fused_kernels.TILINGS[2], width=32)
    assert CHIPS[chip] in longest_loop(kernel.asm["ptx"])
    assert kernel.metadata.shared <= SHARED[chip]
    assert stack_bytes(kernel, tmp_path) == 0


@pytest.mark.parametrize("chip", [80, 90])
def test_no_two_threads_talk_about_scores(chip: int) -> None:
    """In the accumulators of these chips a thread holds whole groups: minima need no shuffle and no shared memory."""
    loop = longest_loop(scan(chip, fused_kernels.TILINGS[2], width=32).asm["ptx"])
    assert "min.f32" in loop
    assert "shfl" not in loop
    assert "st.shared" not in loop


@pytest.mark.parametrize("width", [32, 128])
@pytest.mark.parametrize("chip", CHIPS)
def test_what_an_unmeasured_search_runs_with_fits_every_chip(chip: int, width: int) -> None:
    kernel = scan(chip, fused_kernels.TILINGS[0], width)
    assert kernel.metadata.shared <= min(SHARED.values())


@pytest.mark.parametrize("chip", CHIPS)
def test_the_kernels_around_the_scan_compile(chip: int) -> None:
    assert "cubin" in compiled(fused_kernels.halve, chip, WIDTH=32, TILE=64, CHUNK=32).asm
    assert "cubin" in compiled(fused_kernels.settle, chip, pointers={"rows", "codes"}, TILE=32, CHUNK=16).asm
