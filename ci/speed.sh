#!/usr/bin/env bash
# vqbench's own gate on speed: the hot operations of BASE and HEAD in turn on this machine, compared under speed.toml.
#   ci/speed.sh [BIN]   with the programs in BIN (.venv/bin), where vqbench is installed from this repository
# Settings come from the environment:
#   BASE      what HEAD is compared with: any git revision (HEAD^)
#   PASSES    how often each side is timed (7)
#   LIMIT     seconds that it may take (120)
# Both sides run with the packages that are installed, each with its own sources. One thread and its CPU time: what other
# processes take from the machine is counted least there.
# Exit code: 1 if something got slower; else 0, also where there is nothing to compare or it cannot be run, which is said.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$(cd "${1:-.venv/bin}" && pwd)
export BASE=${BASE:-HEAD^} PASSES=${PASSES:-7}
limit=${LIMIT:-120}
benchmarks=benchmarks/test_components.py

nothing() {
    echo "speed.sh: no speeds are compared: $*"
    exit 0
}

git rev-parse --quiet --verify "$BASE^{commit}" >/dev/null || nothing "there is no revision $BASE here (a shallow clone?)"
git diff --quiet "$BASE" HEAD -- $benchmarks || nothing "$BASE has other benchmarks"
! git diff --quiet "$BASE" HEAD -- core plugins || nothing "$BASE has the same code"

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
chosen="forward or unet"
status=0
env PATH="$bin:$PATH" PYTHONPATH=core:plugins OMP_NUM_THREADS=1 \
    INSTALL=true BENCHMARKS=$benchmarks GATE=ci/speed.toml OUT="$out/report" \
    PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 PYTEST_ADDOPTS="-qq -p pytest_benchmark.plugin -p no:cacheprovider \
        -k '$chosen' --benchmark-timer time.process_time \
        --benchmark-max-time 0.05 --benchmark-min-rounds 3 --benchmark-disable-gc --benchmark-columns min,rounds" \
    timeout "$limit" python -m vqbench.ci >"$out/log" 2>&1 || status=$?
[[ $status != 124 ]] || nothing "$PASSES passes take more than $limit s here"
if [[ $status -gt 1 || ! -f $out/report/summary.md ]]; then
    tail -n 60 "$out/log"
    nothing "see above; $BASE may need other packages than those installed"
fi
cat "$out/report/summary.md"
exit "$status"
