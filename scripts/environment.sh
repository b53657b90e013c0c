# For scripts/quickstart and scripts/test, which source it. Goes to the top of the checkout and
# defines `make_environment`.

cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }

fail() {
  printf '%s: error: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

# TensorFlow 2.21 has wheels for these.
readonly SUITABLE='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'

# Prints the first suitable Python; $PYTHON, if set, is the only candidate.
find_python() {
  local candidate found=''
  for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11 python}; do
    "$candidate" -c "import ensurepip, venv; $SUITABLE" 2>/dev/null && echo "$candidate" && return
    "$candidate" --version >/dev/null 2>&1 && found+=" $candidate ($("$candidate" --version));"
  done
  fail "needs Python 3.11, 3.12 or 3.13 (PYTHON=... names one) that can make virtual environments" \
    "(Debian: apt install python3-venv); found:${found:- none}"
}

# Makes .venv unless it is there, installs the checkout into it, and puts it first in PATH.
# Args: what to install, e.g. `.` or `.[dev]`.
make_environment() {
  local python=.venv/bin/python
  if [[ -x $python ]]; then
    "$python" -c "$SUITABLE" ||
      fail ".venv has $("$python" --version), and 3.11, 3.12 or 3.13 is needed: remove it"
  else
    local base
    base=$(find_python)
    say "Making the virtual environment .venv with $base"
    "$base" -m venv .venv
  fi
  "$python" -m pip --version >/dev/null 2>&1 || "$python" -m ensurepip >/dev/null ||
    fail ".venv has no pip"
  # An editable install follows the code by itself; it is repeated when what it depends on changes.
  local state stamp=.venv/tfgen-installed
  state="$1 in $PWD, $(cat setup.cfg pyproject.toml | cksum)"
  if [[ ! -x .venv/bin/tfgen ]] || ! grep -qsxF "$state" "$stamp"; then
    say "Installing tfgen and TensorFlow into .venv (a minute or two the first time)"
    "$python" -m pip install --quiet --disable-pip-version-check --editable "$1" ||
      fail "pip could not install tfgen into .venv"
    echo "$state" >>"$stamp"
  fi
  PATH=$PWD/.venv/bin:$PATH
}
