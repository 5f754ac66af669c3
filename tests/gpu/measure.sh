#!/usr/bin/env bash
# Measures on a CUDA device, in less than 8 minutes and without a network, all that
# docs/performance.md says of GPUs, and prints each figure beside what is wanted.
#
#   tests/gpu/measure.sh OUT       results go to the folder OUT
#   tests/gpu/measure.sh OUT cpu   the same on small arrays without a card, to try the script
#
# What Python lacks is installed from tests/gpu/wheels (see wheels.sh), into a folder of its own.
# A step that fails or takes too long does not keep the next from running; the steps that matter
# most come first, because the time for all of them is limited (SECONDS_IN_ALL).
set -u
[ $# -ge 1 ] || { sed -n '2,11s/^# \{0,1\}//p' "$0"; exit 2; }
tree=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "$1/logs" || exit 2
out=$(cd "$1" && pwd)
device=${2:-cuda:0}
python=${PYTHON:-python3}
in_all=${SECONDS_IN_ALL:-450}
last_words=20  # seconds that are kept for the summary
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
SECONDS=0

export PYTHONUNBUFFERED=1 COLUMNS=120
export HARNESS_STORE=$out/harness.db
# The code is the tree's; of the wheels, it is this project's metadata that counts.
export PYTHONPATH=$tree:$tree/plugins:$tree/datasets:$tree/reports:$place/site
# Not the tree: nothing that lies about there is to be found first.
cd "$place" || exit 2

printf 'step\tstatus\tseconds\n' > "$out/steps.tsv"

# step NAME LIMIT COMMAND...: runs it, for so many seconds at most; its output goes to logs/NAME.
step() {
    local name=$1 limit=$2 status started=$SECONDS
    shift 2
    local left=$((in_all - last_words - SECONDS))
    [ "$limit" -le "$left" ] || limit=$left
    if [ "$limit" -lt 10 ]; then
        status='no time'
    else
        echo "== $name ($limit s at most)"
        timeout --kill-after=5 "$limit" "$@" > "$out/logs/$name.out" 2> "$out/logs/$name.err"
        status=$?
        case $status in
            0) status=ok ;;
            124 | 137) status='time was up' ;;
            *) status="exit $status"; tail -n 5 "$out/logs/$name.out" "$out/logs/$name.err" ;;
        esac
    fi
    printf '%s\t%s\t%s\n' "$name" "$status" "$((SECONDS - started))" | tee -a "$out/steps.tsv"
}

harness() { step "$1" "$2" "$python" -m harness "${@:3}"; }

softmax() {  # NAME LIMIT BUDGET OPTIONS...
    harness "$1" "$2" bench softmax --device "$device" --budget "$3s" --name "$1" --json \
        --no-progress "${@:4}"
}

few=(--dtype float32 --kernel torch-out)
if [ "$device" = cpu ]; then
    devices=(--device cpu)
    targets=(--shape 40000x3 --shape 10000x10 --shape 1000x1000 --shape 20000x10)
    wide=(--shape 64x50257)
    all=(--shape 40000x3 --shape 100x10)
    epochs=200 replicates=8
    scores=(-m 'notebook-mlp[epochs=300]' -m 'torch-mlp[epochs=10]')
else
    devices=(--device cpu --device "$device")
    few+=(--kernel triton --kernel cuda-c)
    targets=(--shape 4000000x3 --shape 100000x10 --shape 100000x1000 --shape 20000000x10)
    wide=(--shape 8192x50257)
    all=(--dtype float32 --shape 1797x10 --shape 100000x10 --shape 4000000x3)
    epochs=1000 replicates=1024
    scores=(-m notebook-mlp -m torch-mlp)
fi

if compgen -G "$tree/tests/gpu/wheels/*.whl" > /dev/null; then
    step install 60 "$python" -m pip install --quiet --no-index --no-deps --no-compile \
        --no-cache-dir --target "$place/site" "$tree"/tests/gpu/wheels/*.whl
fi
step environment 30 "$python" "$tree/tests/gpu/summary.py" environment "$out"
cat "$out/logs/environment.out"
softmax softmax 140 105 "${few[@]}" "${targets[@]}"
step epochs 60 "$python" "$tree/tests/gpu/epochs.py" "$device" "$replicates" "$epochs" "$out"
harness training 100 bench training --device "$device" --budget 70s --name training --json \
    --no-progress --plugin "$tree/tests/gpu/eager.py" -d threshold -m notebook-mlp \
    -m notebook-mlp-eager --epochs "$epochs" --together 1
softmax softmax-wide 100 60 "${few[@]}" "${wide[@]}"
harness scores 60 run -d threshold -d digits "${scores[@]}" "${devices[@]}" -r 4 --no-timing \
    --name scores --json --no-progress
step tests 60 env PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 "$python" -m pytest -v -ra --tb=short \
    -m 'gpu and not slow' -c "$tree/pyproject.toml" --rootdir "$tree" -p no:cacheprovider \
    -o filterwarnings=default -o addopts='--import-mode=importlib --strict-markers' "$tree/tests/gpu"
softmax softmax-all 80 50 "${all[@]}"

timeout "$last_words" "$python" "$tree/tests/gpu/summary.py" summary "$out" 2>&1 \
    | tee "$out/summary.txt"
tar -czf "$out/logs.tar.gz" -C "$out" logs && rm -rf "${out:?}/logs"
! grep -qvE '	(status|ok)	' "$out/steps.tsv"
