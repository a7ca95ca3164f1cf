#!/usr/bin/env bash
# vqbench's own gate on quality: quality.toml against the committed records (python -m vqbench.ci.speed is that on speed).
#   ci/quality.sh [BIN]            with the programs in BIN (.venv/bin)
#   ci/quality.sh --accept [BIN]   makes the committed records instead, after a change of numbers that is meant
# Exit code: that of `vqbench compare`; 2 where the suite could not be run.
set -euo pipefail
cd "$(dirname "$0")/.."
accept=false
[[ ${1:-} != --accept ]] || { accept=true && shift; }
bin=$(cd "${1:-.venv/bin}" && pwd)
committed=results/published/ci-quality
new=$(mktemp -d)
trap 'rm -rf "$new"' EXIT

run() { # two jobs: a thread each where there are two cores, as when the records were made
    local status=0
    "$bin/vqbench" run ci/quality.toml --results "$new" --device cpu --jobs 2 --quiet >"$new/run.txt" || status=$?
    [[ $status == 0 ]] || cat "$new/run.txt"
    [[ $status -le 1 ]] || exit 2 # 1: some cells failed, which the comparison judges
}

accept() {
    mkdir -p "$committed"
    rm -f "$committed"/*.json
    cp "$new"/ci-quality/*.json "$committed"
    "$bin/python" - "$committed" <<'PYTHON'
import sys
from pathlib import Path

from vqbench.leaderboard import write_leaderboard_files
from vqbench.results import ResultsFolder, read_records

path = Path(sys.argv[1])
write_leaderboard_files(ResultsFolder(path.parent, path.name), *read_records(path))
PYTHON
}

run
if $accept; then
    accept
else
    "$bin/vqbench" compare "$committed" "$new/ci-quality" --gate ci/gate.toml
fi
