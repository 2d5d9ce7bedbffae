# Sourced by the other scripts: installs what they need, and only what is missing.
#
#   need PACKAGE:PROBE...   Debian packages, each with what shows that it is there: a program's
#                           name, or a file (a pattern, if absolute)
#   need_python LOCK        .venv, as requirements/LOCK.lock says, with this package in it
#
# The user's pip configuration stays in force: no option here says where packages come from.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$root/.venv
python=${PYTHON:-python3}

say() { printf '%s\n' "$*" >&2; }

die() {
  say "$1"
  [ $# -lt 2 ] || say "hint: $2"
  exit 1
}

_is_there() {
  case $1 in
    /*) compgen -G "$1" >/dev/null ;;
    ensurepip) "$python" -c 'import ensurepip' 2>/dev/null ;; # Debian keeps it in python3-venv
    *) command -v "$1" >/dev/null ;;
  esac
}

# apt prints a page about each package: shown only if it failed.
_apt() {
  local log
  log=$("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o Dpkg::Use-Pty=0 "$@" 2>&1) || {
    say "$log"
    die "failed: apt-get $1"
  }
}

# Debian starts the services it installs, unless a policy says no (invoke-rc.d(8)).
_without_services() {
  local policy=/usr/sbin/policy-rc.d code=0
  if [ -e $policy ]; then
    "$@"
    return
  fi
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee $policy >/dev/null
  "${as_root[@]}" chmod 755 $policy
  ("$@") || code=$?
  "${as_root[@]}" rm -f $policy
  [ $code -eq 0 ] || exit $code
}

need() {
  local item missing=() as_root=()
  for item in "$@"; do
    _is_there "${item#*:}" || missing+=("${item%%:*}")
  done
  [ ${#missing[@]} -gt 0 ] || return 0

  if [ "$EUID" -ne 0 ]; then
    command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; } && as_root=(sudo)
  fi
  if ! command -v apt-get >/dev/null || { [ "$EUID" -ne 0 ] && [ ${#as_root[@]} -eq 0 ]; }; then
    die "missing on this machine: ${missing[*]} (names of Debian packages)" \
      "install them, or run this as root on Debian or Ubuntu"
  fi

  say "installing: ${missing[*]}"
  # Tests start servers of their own: on a machine that never had PostgreSQL, the package
  # should not leave one running.
  local clusters=/etc/postgresql-common/createcluster.conf
  if [[ " ${missing[*]} " == *" postgresql "* && ! -e $clusters ]]; then
    say "writing $clusters, so that no server is started"
    "${as_root[@]}" mkdir -p "${clusters%/*}"
    echo 'create_main_cluster = false' | "${as_root[@]}" tee "$clusters" >/dev/null
  fi
  _apt update
  _without_services _apt install -y --no-install-recommends -o Dpkg::Options::=--force-confold \
    "${missing[@]}"
  # Nor should a file server that nobody set up come up at the next start of the machine.
  if [[ " ${missing[*]} " == *" samba "* ]] && command -v systemctl >/dev/null; then
    "${as_root[@]}" systemctl disable smbd nmbd samba-ad-dc >/dev/null 2>&1 || true
  fi

  for item in "$@"; do
    _is_there "${item#*:}" || die "still missing: ${item#*:}, though ${item%%:*} was installed"
  done
}

need_python() {
  # One at a time: two scripts started together would install into one .venv.
  (
    flock 9
    cd "$root" || exit
    stamp=$venv/.installed
    locks=("requirements/$1.lock")
    [ "$1" = run ] || locks+=(requirements/run.lock) # test.lock holds all of run.lock
    read -r lock_sum _ < <(sha256sum "requirements/$1.lock")
    read -r project_sum _ < <(sha256sum pyproject.toml)

    if ! grep -qsxF "place $root" "$stamp" || ! "$venv/bin/python" -c '' 2>/dev/null; then
      "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        die "$python is $("$python" -V 2>&1), and 3.11 or newer is needed" "PYTHON=python3.12 ${0##*/}"
      say "making .venv"
      "$python" -m venv --clear "$venv"
      echo "place $root" >"$stamp"
    fi
    if ! grep -qxF "lock $lock_sum" "$stamp"; then
      say "installing requirements/$1.lock"
      sed -i '/^lock /d' "$stamp"
      "$venv/bin/python" -m pip install -qq --require-hashes -r "requirements/$1.lock"
      sha256sum "${locks[@]}" | sed 's/^\([0-9a-f]*\) .*/lock \1/' >>"$stamp"
    fi
    if ! grep -qxF "project $project_sum" "$stamp"; then
      sed -i '/^project /d' "$stamp"
      "$venv/bin/python" -m pip install -qq --no-deps --no-build-isolation -e .
      echo "project $project_sum" >>"$stamp"
    fi
  ) 9<"$root/pyproject.toml"
}

# What every script needs.
# shellcheck disable=SC2034
basics=(python3:"$python" python3-venv:ensurepip ca-certificates:/etc/ssl/certs/ca-certificates.crt
  tzdata:/usr/share/zoneinfo/America/Chicago)
