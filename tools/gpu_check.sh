#!/bin/bash
# A self-contained check on any machine with a Vulkan GPU, Linux x86-64.
#
#   tools/gpu_check.sh gather [FOLDER]   here: compile five models for Vulkan, compute what they should give, fetch wheels (needs .venv-devices)
#   tools/gpu_check.sh run [FOLDER]      there: needs a Python with numpy and onnx, and a Vulkan driver; no network; ends within three minutes
#
# FOLDER (default .gpu_check, never committed) holds all that `run` needs. PYTHON names the interpreter there (python3); if its version is
# not that of .venv-devices, gather the wheels for it: THERE=3.12.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
command=${1:-}
folder=$(mkdir -p "${2:-$root/.gpu_check}" && cd "${2:-$root/.gpu_check}" && pwd)
MOST=$((60 * 1024 * 1024))

gather() {
  local python=$root/.venv-devices/bin/python
  [ -x "$python" ] || { echo "gpu_check: .venv-devices is not there: make test-devices makes it" >&2; exit 2; }
  rm -rf "$folder/wheels" "$folder/source" "$folder/cases"
  mkdir -p "$folder/source/autoglmc"
  (cd "$root" && cp -r __init__.py compiler grammar passes targets "$folder/source/autoglmc/")
  find "$folder/source" -name __pycache__ -type d -prune -exec rm -rf {} +
  local version there=()
  [ -z "${THERE:-}" ] || there=(--python-version "$THERE" --implementation cp --platform manylinux_2_28_x86_64 --platform manylinux_2_27_x86_64
    --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64)
  for package in iree-base-runtime onnxruntime msgspec networkx click lark rich; do
    version=$("$python" -c "import sys; from importlib.metadata import version; print(version(sys.argv[1]))" "$package")
    "$python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: "${there[@]}" --dest "$folder/wheels" "$package==$version"
  done
  local size
  size=$(du -sb "$folder/wheels" | cut -f1)
  [ "$size" -le "$MOST" ] || { echo "gpu_check: the wheels take $size bytes, more than $MOST" >&2; exit 1; }
  PYTHONPATH=$folder/source "$python" "$root/tools/gpu_check.py" gather "$folder/cases"
  echo "gpu_check: $folder holds $(du -sh "$folder" | cut -f1); carry it and tools/ to the other machine"
}

run() {
  [ -d "$folder/cases" ] || { echo "gpu_check: $folder holds no cases: tools/gpu_check.sh gather makes them" >&2; exit 2; }
  local python=${PYTHON:-python3}
  "$python" -c "import numpy, onnx" || { echo "gpu_check: $python has no numpy and onnx; PYTHON=… names another" >&2; exit 2; }
  packages=$(mktemp -d)
  trap 'rm -rf "$packages"' EXIT
  "$python" -m pip install --quiet --disable-pip-version-check --no-deps --no-index --target "$packages" "$folder"/wheels/*.whl
  ORT_DISABLE_TELEMETRY=1 PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$folder/source:$packages timeout 180 "$python" "$root/tools/gpu_check.py" run "$folder/cases"
}

case $command in
  gather | run) $command ;;
  *) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
