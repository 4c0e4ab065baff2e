#!/usr/bin/env bash
# Make a virtual environment that can build tradecore, out of nothing but a Python >= 3.11 and a C
# compiler. Usage: tools/bootstrap.sh VENV_DIR. Environment: PYTHON3 names the interpreter to use.
# CMake, ninja and Cython come as Python packages, so no system package of theirs is needed.
set -euo pipefail
venv=${1:?usage: tools/bootstrap.sh VENV_DIR}

die() { printf 'tradecore: %s\n' "$*" >&2; exit 1; }

# Prints "ok", or what the interpreter $1 lacks. It is started for real, because a version manager's
# shim exists for versions that it then refuses to run.
lacks() {
  "$1" - 2>/dev/null <<'PY' || echo unusable
import importlib.util, pathlib, sys, sysconfig
if sys.version_info < (3, 11) or sys.implementation.name != "cpython":
    print("unusable")
elif not (pathlib.Path(sysconfig.get_path("include")) / "Python.h").exists():
    print("headers")
elif not (importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip")):
    print("venv")
else:
    print("ok")
PY
}

command -v "${CC:-cc}" >/dev/null || die "no C compiler found; install gcc (Debian: apt-get install gcc g++) or set CC"

choose() { # first complete interpreter; else remember one that only misses Debian's split-off parts
  python='' incomplete=''
  local candidate state
  for candidate in ${PYTHON3:-python3 python3.13 python3.12 python3.11 python3.14}; do
    command -v "$candidate" >/dev/null || continue
    state=$(lacks "$candidate")
    case $state in
      ok) python=$candidate; return ;;
      headers | venv) incomplete=${incomplete:-$candidate} ;;
    esac
  done
}

choose
if [ -z "$python" ] && [ -n "$incomplete" ]; then
  v=$("$incomplete" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "tradecore: installing $v-venv and $v-dev, which this machine's Python comes without"
    apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends \
      "$v-venv" "$v-dev" >/dev/null
    choose
  fi
  [ -n "$python" ] || die "$incomplete lacks its venv module or its headers; install them (Debian: apt-get install $v-venv $v-dev) and run this again"
fi
[ -n "$python" ] || die "needs CPython >= 3.11 on PATH (or PYTHON3=/path/to/python); ${PYTHON3:-python3} is: $("${PYTHON3:-python3}" -V 2>&1 || true)"

echo "tradecore: $("$python" -V) in $venv"
"$python" -m venv --clear "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --upgrade pip
# The build requirements are pyproject's own list, plus the two programs that pip would fetch by itself
# in an isolated build.
requirements=$("$venv/bin/python" - <<'PY'
import tomllib
with open("pyproject.toml", "rb") as f:
    print("\n".join(tomllib.load(f)["build-system"]["requires"]))
PY
)
printf '%s\ncmake>=3.21\nninja\n' "$requirements" >"$venv/build-requirements.txt"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$venv/build-requirements.txt"
