#!/usr/bin/env bash
# Builds the wheel, installs it with the example plugin package into an empty virtual environment,
# and uses both away from the tree.
set -euo pipefail
tree=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-python3}
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
unset PYTHONPATH

"${BUILD:-$python}" -m build --wheel --outdir "$place/dist" "$tree" > "$place/build.log" 2>&1 \
    || { cat "$place/build.log"; exit 1; }
"$python" -m venv "$place/venv"
wheel=$(ls "$place"/dist/*.whl)
cp "$tree/constraints.txt" "$place"
"$place/venv/bin/pip" install --quiet --constraint "$place/constraints.txt" "${wheel}[all]"
cp -r "$tree/docs/examples/harness-nearest-mean" "$place/example"
"$place/venv/bin/pip" install --quiet --constraint "$place/constraints.txt" "$place/example"

cd "$place"
harness=venv/bin/harness
$harness list plugins
$harness check nearest-mean
for kind in dataset model metric; do
    $harness new $kind "my-new-$kind"
    venv/bin/pip install --quiet --constraint constraints.txt "./my-new-$kind"
done
$harness check my-new-dataset my-new-model
$harness run -d my-new-dataset -m my-new-model -r 2 --no-timing --metric my-new-metric --store new.db
$harness run -d iris -m nearest-mean --repeats 2 --timing-budget 10s
$harness bench softmax --shape 100x3 --kernel "numpy-*" --budget 10s --store bench.db
started=$SECONDS
$harness run --all --no-timing --store all.db
echo "harness run --all took $((SECONDS - started)) s"
$harness report --store all.db --html all.html
$harness plot likelihood --store all.db -d threshold
