"""What makes it itself."""

import json
import subprocess
import sys


def test_it_is_three_quantizers_on_two_backbones_with_three_seeds_at_1024_bits():
    command = [sys.executable, "-m", "vqbench", "plan", "my-component", "--json"]
    plan = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert len(plan["cells"]) == 3 * 2 * 3
    assert {cell["bits_per_image"] for cell in plan["cells"]} == {8 * 8 * 16}
