"""``python -m vqbench``."""

from vqbench.cli import main

main(prog_name="vqbench")
