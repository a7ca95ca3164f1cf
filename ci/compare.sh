#!/usr/bin/env bash
# Runs a suite in two commits of the repository around here, one after the other on this machine, and compares what they leave.
# docs/ci.md says how to use it; action.yml does on GitHub. Settings come from the environment, so that nothing is quoted twice:
#   SUITE       suite file in the repository, or the name of a suite (required)
#   BASE, HEAD  what to compare: any git revision (HEAD^, HEAD)
#   INSTALL     how to install a checkout, run in it (python -m pip install .)
#   GATE        gate file in HEAD; none: the defaults
#   BENCHMARKS  tests with pytest-benchmark in the repository; none: no benchmarks
#   PASSES      how often they run on each side, in turn (6)
#   ARGUMENTS   more arguments of `vqbench run`, separated by spaces
#   OUT         where results and reports go (vqbench-ci)
# Exit code: that of `vqbench compare`; 2 where a side could not be run.
set -euo pipefail

: "${SUITE:?names the suite to run}"
BASE=${BASE:-HEAD^} HEAD=${HEAD:-HEAD} INSTALL=${INSTALL:-python -m pip install .} OUT=${OUT:-vqbench-ci}
BENCHMARKS=${BENCHMARKS:-} PASSES=${PASSES:-6}
mkdir -p "$OUT"
OUT=$(cd "$OUT" && pwd)
read -ra arguments <<<"${ARGUMENTS:-}"
repository=$(git rev-parse --show-toplevel)
work=$(mktemp -d)

clean_up() {
    cd "$repository"
    for side in base head; do
        [[ ! -d $work/$side ]] || git worktree remove --force "$work/$side"
    done
    rm -rf "$work"
}
trap clean_up EXIT

fail() {
    echo "compare.sh: $*" >&2
    exit 2
}

summarize() {
    [[ -z ${GITHUB_STEP_SUMMARY:-} ]] || cat "$OUT/summary.md" >>"$GITHUB_STEP_SUMMARY"
    [[ -z ${GITHUB_OUTPUT:-} ]] || printf 'summary=%s\nresults=%s\n' "$OUT/summary.md" "$OUT" >>"$GITHUB_OUTPUT"
}

check_out() { # side revision
    git worktree add --quiet --detach "$work/$1" "$2" ||
        fail "there is no revision $2: fetch it (on GitHub: actions/checkout with fetch-depth: 0)"
}

install() { # side
    cd "$work/$1"
    bash -euo pipefail -c "$INSTALL" || fail "$1 cannot be installed: $INSTALL"
}

measure() { # side
    local status=0
    install "$1"
    rm -rf "${OUT:?}/$1"
    python -m vqbench run "$SUITE" --results "$OUT/$1" ${arguments[@]+"${arguments[@]}"} >"$OUT/$1.txt" || status=$?
    [[ $status -le 1 ]] || fail "$1 cannot be run" # 1: some cells failed, which the comparison judges
}

time_benchmarks() { # side pass
    install "$1"
    python -m pytest "$BENCHMARKS" --benchmark-only --benchmark-json "$OUT/benchmarks/$1-$2.json" ||
        fail "the benchmarks of $1 failed"
}

time_in_turn() { # base, head, base, head …: so a machine that is busy for a while is so for both
    rm -rf "${OUT:?}/benchmarks"
    mkdir "$OUT/benchmarks"
    for ((pass = 1; pass <= PASSES; pass++)); do
        time_benchmarks base "$pass"
        time_benchmarks head "$pass"
    done
    for side in base head; do
        python -m vqbench results import "$OUT/benchmarks/$side"-*.json --results "$OUT/$side" --suite benchmarks
    done
}

check_out base "$BASE"
check_out head "$HEAD"
if [[ $SUITE == *.toml && -f $work/head/$SUITE && ! -f $work/base/$SUITE ]]; then
    echo "There is no $SUITE in BASE: nothing to compare with." | tee "$OUT/summary.md"
    summarize
    exit 0
fi
measure base
measure head
[[ -z $BENCHMARKS ]] || time_in_turn
gate=()
[[ -z ${GATE:-} ]] || gate=(--gate "$work/head/$GATE")
status=0
cd "$OUT"
python -m vqbench compare base head ${gate[@]+"${gate[@]}"} --out summary.md --out report.json --out junit.xml || status=$?
[[ ! -f $OUT/summary.md ]] || summarize
exit "$status"
