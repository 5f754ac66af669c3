#!/usr/bin/env bash
# Collects, as wheels, what a machine with a CUDA device and no network may lack: SQLAlchemy,
# hypothesis, Jinja, what they need, and this project itself, whose metadata tells of its plugins.
# They go to tests/gpu/wheels, which git ignores; measure.sh installs them from there.
#
#   tests/gpu/wheels.sh            for Python 3.12 on x86-64
#   PYTHON_VERSION=3.13 MACHINE=aarch64 tests/gpu/wheels.sh
set -euo pipefail
tree=$(cd "$(dirname "$0")/../.." && pwd)
python=${PYTHON:-python3}
version=${PYTHON_VERSION:-3.12}
machine=${MACHINE:-x86_64}
wheels=$tree/tests/gpu/wheels

# pip takes no wheel for an older C library than those that are named.
platforms=()
for library in manylinux_2_28 manylinux_2_27 manylinux_2_24 manylinux_2_17 manylinux2014; do
    platforms+=(--platform "${library}_$machine")
done
rm -rf "$wheels"
"$python" -m pip download --quiet --dest "$wheels" --constraint "$tree/constraints.txt" \
    --only-binary=:all: --implementation cp --python-version "$version" "${platforms[@]}" \
    sqlalchemy hypothesis jinja2
"$python" -m pip wheel --quiet --no-deps --wheel-dir "$wheels" "$tree"
ls "$wheels"
du -sh "$wheels"
