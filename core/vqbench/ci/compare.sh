#!/usr/bin/env bash
# Runs a suite, or benchmarks, or both in two commits of the repository around here, in turn on this machine, and compares
# what they leave.
# `python -m vqbench.ci` runs it, action.yml does on GitHub; docs/ci.md says how to use it. Settings come from the environment, so that nothing is quoted twice:
#   SUITE       suite file in the repository, or the name of a suite; none: benchmarks only
#   BASE, HEAD  what to compare: any git revision (HEAD^, HEAD)
#   INSTALL     how to install a checkout, run in it (python -m pip install .)
#   GATE        gate file in HEAD; none: the defaults
#   TIMED       how often the suite's cells are timed on each side, in turn (1); for speeds on a busy machine 6
#   BENCHMARKS  tests with pytest-benchmark in the repository; none: no benchmarks
#   PASSES      how often they run on each side, in turn (6)
#   ARGUMENTS   more arguments of `vqbench run`, separated by spaces
#   OUT         where results and reports go (vqbench-ci)
# Exit code: that of `vqbench compare`; 2 where a side could not be run.
set -euo pipefail

[[ -n ${SUITE:=} || -n ${BENCHMARKS:=} ]] || { echo "compare.sh: SUITE or BENCHMARKS must be set" >&2 && exit 2; }
BASE=${BASE:-HEAD^} HEAD=${HEAD:-HEAD} INSTALL=${INSTALL:-python -m pip install .} OUT=${OUT:-vqbench-ci}
TIMED=${TIMED:-1} BENCHMARKS=${BENCHMARKS:-} PASSES=${PASSES:-6}
mkdir -p "$OUT"
OUT=$(cd "$OUT" && pwd)
read -ra arguments <<<"${ARGUMENTS:-}"
repository=$(git rev-parse --show-toplevel)
work=$(mktemp -d)

clean_up() {
    trap "" TERM INT # what ends a group of processes comes more than once
    cd "$repository"
    for side in base head; do
        [[ ! -d $work/$side ]] || git worktree remove --force "$work/$side"
    done
    rm -rf "$work"
}
trap clean_up EXIT
trap "exit 143" TERM

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

in_turn() { # times, what to do with a side and the number of the pass: a machine that is busy for a while is so for both
    for ((pass = 1; pass <= $1; pass++)); do
        "$2" base "$pass"
        "$2" head "$pass"
    done
}

measure() { # side pass
    local status=0 results=$OUT/$1 timing_only=()
    install "$1"
    if [[ $2 -gt 1 ]]; then # with the weights of the first pass
        results=$OUT/passes/$1-$2 timing_only=(--set "evaluation.metrics=[]")
        for suite in "$OUT/$1"/*/; do
            mkdir -p "$results/$(basename "$suite")"
            ln -s "${suite}checkpoints" "$results/$(basename "$suite")"
        done
    fi
    python -m vqbench run "$SUITE" --results "$results" ${arguments[@]+"${arguments[@]}"} \
        ${timing_only[@]+"${timing_only[@]}"} >"$results.txt" || status=$?
    [[ $status -le 1 ]] || fail "$1 cannot be run" # 1: some cells failed, which the comparison judges
}

benchmark() { # side pass
    install "$1"
    python -m pytest "$BENCHMARKS" --benchmark-only --benchmark-json "$OUT/benchmarks/$1-$2.json" ||
        fail "the benchmarks of $1 failed"
}

check_out base "$BASE"
check_out head "$HEAD"
if [[ $SUITE == *.toml && -f $work/head/$SUITE && ! -f $work/base/$SUITE ]]; then
    echo "There is no $SUITE in BASE: nothing to compare with." | tee "$OUT/summary.md"
    summarize
    exit 0
fi
rm -rf "${OUT:?}"/{base,head,passes,benchmarks}
if [[ -n $SUITE ]]; then
    in_turn "$TIMED" measure
    for side in base head; do
        [[ $TIMED -le 1 ]] || python -m vqbench results merge "$OUT/passes/$side"-*/ --results "$OUT/$side"
    done
fi
if [[ -n $BENCHMARKS ]]; then
    mkdir "$OUT/benchmarks"
    in_turn "$PASSES" benchmark
    for side in base head; do
        python -m vqbench results import "$OUT/benchmarks/$side"-*.json --results "$OUT/$side" --suite benchmarks
    done
fi
gate=()
[[ -z ${GATE:-} ]] || gate=(--gate "$work/head/$GATE")
status=0
cd "$OUT"
python -m vqbench compare base head ${gate[@]+"${gate[@]}"} --out summary.md --out report.json --out junit.xml || status=$?
[[ ! -f $OUT/summary.md ]] || summarize
exit "$status"
