"""`restore.sh` and `restore.ps1`: plain restic commands, for whoever has nothing else.

Values of a plan stand in them as quoted text and are never read as commands. A password is asked
for, or comes out of a file that the person names: it is in no argument, and not in these files.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from datetime import tzinfo

from dr_orchestrator.core.wording import date_words, instant_words, printable, size_words
from dr_orchestrator.runbook.kit.given import Held, KitInput, Way, example, held, ways
from dr_orchestrator.runbook.kit.loading import load_lines
from dr_orchestrator.runbook.order import recovery_order

_MANIFEST = "MANIFEST"
"""The folder that a manifest comes back to; ids of assets are lower case."""
_POWERSHELL_QUOTES = re.compile("(['\u2018\u2019\u201a\u201b])")
"""Each of them ends a text in single quotes there (about_Quoting_Rules), and doubled stands for
itself."""
_PATTERN_SIGNS = re.compile(r"([*?\[\\])")
_BOM, _CRLF = "\ufeff", "\r\n"
"""Windows PowerShell 5 takes a file without the mark for one in the machine's old code page."""


def restore_sh(given: KitInput) -> bytes:
    """Return the script for Linux and macOS: bash 3.2 and restic 0.14 or newer."""
    lines = (
        "#!/usr/bin/env bash",
        *_comment(given),
        "set -euo pipefail",
        "umask 077",
        "restic=${RESTIC:-restic}",
        *_BASH_COMMON.splitlines(),
        "",
        "open_repository() {",
        "  case $1 in",
        *_indented(_bash_ways(given), 2),
        "  *)",
        "    say 'there is no such repository in this kit:' \"$1\"",
        "    exit 2",
        "    ;;",
        "  esac",
        "  ask_for_password",
        "}",
        "",
        "require_point() {",
        "  case $1/$2 in",
        *_indented(_bash_known(given), 2),
        "  *)",
        "    say 'this kit knows no point of that system in that repository:' \"$1 $2\"",
        "    say 'the list shows what is there, and restic restore ID brings it back'",
        "    exit 2",
        "    ;;",
        "  esac",
        "}",
        "",
        "restore_system() {",
        "  case $1/$2 in",
        *_indented(_bash_systems(given), 2),
        "  *) exit 2 ;;",
        "  esac",
        "}",
        "",
        "usage() {",
        *(f"  say {shlex.quote(line)}" for line in _usage(given, "./restore.sh", "/srv/restored")),
        "}",
        "",
        *_BASH_MAIN.splitlines(),
    )
    return ("\n".join(lines) + "\n").encode()


def restore_ps1(given: KitInput) -> bytes:
    """Return the script for Windows: its PowerShell 5.1, or any newer one."""
    lines = (
        *_comment(given),
        *_PS_COMMON.splitlines(),
        "",
        "function Open-Repository([string]$Name) {",
        "    switch -CaseSensitive ($Name) {",
        *_indented(_ps_ways(given), 8),
        '        default { throw "there is no such repository in this kit: $Name" }',
        "    }",
        "    Request-Password",
        "}",
        "",
        "function Assert-Point([string]$System, [string]$Name) {",
        f"    $known = @({', '.join(_ps_quoted(each) for each in _known(given))})",
        '    if ($known -cnotcontains "$System/$Name") {',
        '        throw "this kit knows no point of $System in $Name"',
        "    }",
        "}",
        "",
        "function Restore-System([string]$System, [string]$Name, [string]$Target) {",
        '    switch -CaseSensitive ("$System/$Name") {',
        *_indented(_ps_systems(given), 8),
        "    }",
        "}",
        "",
        "function Show-Usage {",
        *(
            f"    Write-Host {_ps_quoted(line)}"
            for line in _usage(given, r".\restore.ps1", r"C:\restored")
        ),
        "}",
        "",
        *_PS_MAIN.splitlines(),
    )
    return (_BOM + _CRLF.join(lines) + _CRLF).encode()


# --- both ----------------------------------------------------------------------------------------


def _comment(given: KitInput) -> Iterator[str]:
    practice = given.plan.practice
    yield f"# {printable(practice.name)}: bring data back with restic and nothing else."
    yield (
        f"# Made {date_words(given.made, practice.timezone)}, "
        f"out of date after {date_words(given.expires, practice.timezone)}. Holds no key."
    )


def _usage(given: KitInput, program: str, target: str) -> Iterator[str]:
    system, repository = example(given)
    yield f"{printable(given.plan.practice.name)}: bring data back with restic"
    yield f"  {program} list REPOSITORY                    what is there, the newest last"
    yield f"  {program} check REPOSITORY                   is the repository sound?"
    yield f"  {program} restore SYSTEM REPOSITORY FOLDER   the newest point that this kit knows"
    yield f"as: {program} restore {system} {repository} {target}"
    yield "KIT_LOCATION: where the repository is now, if not where it was"
    yield "RESTIC_PASSWORD_FILE: a file with the password, which is asked for otherwise"
    yield "RESTIC: the restic program, if it is not on the PATH"
    for way in ways(given):
        yield f"repository {way.repository}: {printable(way.location)}"
        yield f"  its password: {way.key}"
    for system in recovery_order(given.plan, given.plan.protected):
        yield f"system {system}: {printable(given.plan.protected[system].title)}"


def _points(given: KitInput) -> Iterator[tuple[str, Held]]:
    for system in recovery_order(given.plan, given.plan.protected):
        for each in held(given, system):
            yield system, each


def _known(given: KitInput) -> Iterator[str]:
    for system, each in _points(given):
        yield f"{system}/{each.copy.repository}"


def _steps(given: KitInput, system: str, each: Held) -> Iterator[str]:
    for asset, lines in load_lines(given, system, each):
        yield f"{asset}:"
        yield from lines


def _password_words(way: Way) -> str:
    return f"the password of {way.repository}: {way.key}"


def _keys_words(way: Way) -> str:
    return f"the keys of its storage: {way.environment_key}"


def _scheme(way: Way) -> str:
    """Return how a location begins at which what restic needs beside the password is of use: the
    same repository may be on a disk by now.
    """
    return way.location.partition(":")[0] + ":"


def _point_words(each: Held, zone: tzinfo) -> str:
    return f"as of {instant_words(each.point.as_of, zone)}, {size_words(each.bytes)}"


def _snapshots(given: KitInput, each: Held) -> Iterator[tuple[str, str, str]]:
    """Yield what comes back: the folder it comes to, its snapshot, and which part of that, as a
    pattern of restic's; empty is all of it.
    """
    manifest = given.manifests.get(each.point.id)
    for asset, snapshot in each.copy.snapshots.items():
        part = manifest.assets[asset].path if manifest and each.copy.is_existing else "/"
        yield asset, snapshot, "" if part == "/" else _PATTERN_SIGNS.sub(r"\\\1", part)
    if not each.copy.is_existing:
        yield _MANIFEST, each.copy.manifest_snapshot, ""


def _indented(lines: Iterator[str], by: int) -> Iterator[str]:
    for line in lines:
        yield f"{' ' * by}{line}"


# --- bash ----------------------------------------------------------------------------------------

_BASH_COMMON = r"""
say() { printf '%s\n' "$*" >&2; }

ask() { # VARIABLE QUESTION: for what is secret; kept from programs' arguments and from the screen
  [ -z "${!1:-}" ] || return 0
  printf '%s: ' "$2" >&2
  local answer
  IFS= read -rs answer </dev/tty
  printf '\n' >&2
  printf -v "$1" '%s' "$answer"
  export "${1?}"
}

ask_for_password() {
  [ -n "${RESTIC_PASSWORD_FILE:-}" ] || ask RESTIC_PASSWORD 'password of the repository'
}

encoded() { # each byte as %XX, so that nothing in it ends the address
  printf '%s' "$1" | od -An -v -tx1 | tr -d ' \n' | sed 's/../%&/g'
}

bring_back() { # SNAPSHOT FOLDER [PART]
  say "restoring to $2"
  "$restic" restore "$1" --no-lock --target "$2" ${3:+"--include=$3"}
}

move_small_files() { # ASSET...: what the manifest has of each, to where its data is
  local asset
  for asset in "$@"; do
    find "$target/MANIFEST" -type f -path "*/assets/$asset/*" -exec mv -n {} "$target/$asset/" \;
  done
}

require_restic() {
  command -v "$restic" >/dev/null && return
  say "there is no program $restic: install it (apt install restic), or say with RESTIC where it is"
  exit 2
}"""

_BASH_MAIN = r"""
case ${1:-}:$# in
list:2)
  require_restic
  open_repository "$2"
  "$restic" snapshots --no-lock
  ;;
check:2)
  require_restic
  open_repository "$2"
  "$restic" check --no-lock
  ;;
restore:4)
  if [ -e "$4" ] && [ -n "$(ls -A "$4")" ]; then
    say "there is something in $4 already: name a new folder"
    exit 2
  fi
  require_restic
  require_point "$2" "$3"
  target=$4
  open_repository "$3"
  restore_system "$2" "$3"
  printf '$ cd %q\n' "$target" >"$target/NEXT-STEPS.txt"
  printf '%s\n' "${steps[@]}" >>"$target/NEXT-STEPS.txt"
  say "restored to $target; look at it before anybody works with it"
  say "to put it to use (also in $target/NEXT-STEPS.txt):"
  sed -e 's/^\$ //' -e t -e 's/^/  /' "$target/NEXT-STEPS.txt" >&2
  ;;
*)
  usage
  exit 2
  ;;
esac"""


def _bash_ways(given: KitInput) -> Iterator[str]:
    for way in ways(given):
        yield f"{shlex.quote(way.repository)})"
        yield f"  say {shlex.quote(_password_words(way))}"
        yield f"  location={shlex.quote(way.location)}"
        yield "  location=${KIT_LOCATION:-$location}"
        if way.environment:
            yield "  case $location in"
            yield f"  {_scheme(way)}*)"
            yield from _indented(_bash_environment(way), 4)
            yield "    ;;"
            yield "  esac"
        yield '  export RESTIC_REPOSITORY="$location"'
        yield "  ;;"


def _bash_environment(way: Way) -> Iterator[str]:
    if way.environment_key:
        yield f"say {shlex.quote(_keys_words(way))}"
    for name in way.environment:
        yield f"ask {name} {name}"
    if way.region:
        yield f"region={shlex.quote(way.region)}"
        yield 'export AWS_DEFAULT_REGION="${AWS_DEFAULT_REGION:-$region}"'
    if way.user is not None:
        yield f"user=$(encoded {shlex.quote(way.user)})"
        yield 'login=$user:$(encoded "$RESTIC_REST_PASSWORD")'
        yield 'location="${location%%//*}//$login@${location#*//}"'


def _bash_known(given: KitInput) -> Iterator[str]:
    for each in _known(given):
        yield f"{shlex.quote(each)}) ;;"


def _bash_systems(given: KitInput) -> Iterator[str]:
    zone = given.plan.practice.timezone
    for system, each in _points(given):
        yield f"{shlex.quote(f'{system}/{each.copy.repository}')})"
        yield f"  say {shlex.quote(_point_words(each, zone))}"
        for asset, snapshot, part in _snapshots(given, each):
            only = f" {shlex.quote(part)}" if part else ""
            yield f'  bring_back {shlex.quote(snapshot)} "$target/"{shlex.quote(asset)}{only}'
        if not each.copy.is_existing:
            yield f"  move_small_files {shlex.join(each.copy.snapshots)}"
        yield "  steps=("
        for line in _steps(given, system, each):
            yield f"    {shlex.quote(line)}"
        yield "  )"
        yield "  ;;"


# --- PowerShell ----------------------------------------------------------------------------------

_PS_COMMON = r"""$ErrorActionPreference = 'Stop'
$Restic = if ($env:RESTIC) { $env:RESTIC } else { 'restic' }
$Asked = @('RESTIC_REPOSITORY')

function Request-Secret([string]$Variable, [string]$Question) {
    if ([Environment]::GetEnvironmentVariable($Variable)) { return }
    $script:Asked += $Variable
    $secure = Read-Host -Prompt $Question -AsSecureString
    $pointer = [Runtime.InteropServices.Marshal]::SecureStringToBSTR($secure)
    try {
        $text = [Runtime.InteropServices.Marshal]::PtrToStringBSTR($pointer)
        [Environment]::SetEnvironmentVariable($Variable, $text)
    } finally {
        [Runtime.InteropServices.Marshal]::ZeroFreeBSTR($pointer)
    }
}

function Request-Password {
    if (-not $env:RESTIC_PASSWORD_FILE) {
        Request-Secret 'RESTIC_PASSWORD' 'password of the repository'
    }
}

function Invoke-Restic {
    & $Restic @args
    if ($LASTEXITCODE -ne 0) { throw "restic ended with $LASTEXITCODE" }
}

function Restore-Snapshot([string]$Snapshot, [string]$Folder, [string]$Part) {
    Write-Host "restoring to $Folder"
    if ($Part) {
        Invoke-Restic restore $Snapshot --no-lock --target $Folder --include $Part
    } else {
        Invoke-Restic restore $Snapshot --no-lock --target $Folder
    }
}

function Move-SmallFiles([string]$Target, [string[]]$Assets) {
    foreach ($asset in $Assets) {
        Get-ChildItem -LiteralPath (Join-Path $Target 'MANIFEST') -Recurse -File |
            Where-Object { $_.Directory.Name -ceq $asset } |
            Where-Object { $_.Directory.Parent.Name -eq 'assets' } |
            Move-Item -Destination (Join-Path $Target $asset)
    }
}

function Assert-Restic {
    if (-not (Get-Command $Restic -CommandType Application -ErrorAction SilentlyContinue)) {
        throw "there is no program $Restic, and RESTIC does not say where one is"
    }
}"""

_PS_MAIN = r"""try {
    switch ("$($args[0]):$($args.Count)") {
        'list:2' {
            Assert-Restic
            Open-Repository $args[1]
            Invoke-Restic snapshots --no-lock
        }
        'check:2' {
            Assert-Restic
            Open-Repository $args[1]
            Invoke-Restic check --no-lock
        }
        'restore:4' {
            $there = Test-Path -LiteralPath $args[3]
            if ($there -and (Get-ChildItem -LiteralPath $args[3] -Force)) {
                throw "there is something in $($args[3]) already: name a new folder"
            }
            Assert-Restic
            Assert-Point $args[1] $args[2]
            Open-Repository $args[2]
            Restore-System $args[1] $args[2] $args[3]
            $file = Join-Path $args[3] 'NEXT-STEPS.txt'
            $Steps | Set-Content -LiteralPath $file -Encoding UTF8
            Write-Host "restored to $($args[3]); look at it before anybody works with it"
            Write-Host "to put it to use on a Debian server, in that folder (also in $file):"
            $Steps | ForEach-Object { Write-Host $_ }
        }
        default {
            Show-Usage
            exit 2
        }
    }
} finally {
    # The window stays open: a password that was mistyped must be asked for again.
    foreach ($each in $Asked) { Remove-Item "Env:$each" -ErrorAction SilentlyContinue }
}"""


def _ps_quoted(text: str) -> str:
    return "'" + _POWERSHELL_QUOTES.sub(r"\1\1", text) + "'"


def _ps_ways(given: KitInput) -> Iterator[str]:
    for way in ways(given):
        yield f"{_ps_quoted(way.repository)} {{"
        yield f"    Write-Host {_ps_quoted(_password_words(way))}"
        location = _ps_quoted(way.location)
        yield "    $location = "
        yield f"        if ($env:KIT_LOCATION) {{ $env:KIT_LOCATION }} else {{ {location} }}"
        if way.environment:
            yield f"    if ($location -like '{_scheme(way)}*') {{"
            yield from _indented(_ps_environment(way), 8)
            yield "    }"
        yield "    $env:RESTIC_REPOSITORY = $location"
        yield "}"


def _ps_environment(way: Way) -> Iterator[str]:
    if way.environment_key:
        yield f"Write-Host {_ps_quoted(_keys_words(way))}"
    for name in way.environment:
        yield f"Request-Secret {_ps_quoted(name)} {_ps_quoted(name)}"
    if way.region:
        region = _ps_quoted(way.region)
        yield f"if (-not $env:AWS_DEFAULT_REGION) {{ $env:AWS_DEFAULT_REGION = {region} }}"
    if way.user is not None:
        user = f"[Uri]::EscapeDataString({_ps_quoted(way.user)})"
        yield f"$login = {user} + ':' + [Uri]::EscapeDataString($env:RESTIC_REST_PASSWORD)"
        yield "$scheme, $rest = $location -split '//', 2"
        yield "$location = $scheme + '//' + $login + '@' + $rest"


def _ps_systems(given: KitInput) -> Iterator[str]:
    zone = given.plan.practice.timezone
    for system, each in _points(given):
        yield f"{_ps_quoted(f'{system}/{each.copy.repository}')} {{"
        yield f"    Write-Host {_ps_quoted(_point_words(each, zone))}"
        for asset, snapshot, part in _snapshots(given, each):
            folder = f"(Join-Path $Target {_ps_quoted(asset)})"
            only = f" {_ps_quoted(part)}" if part else ""
            yield f"    Restore-Snapshot {_ps_quoted(snapshot)} {folder}{only}"
        if not each.copy.is_existing:
            assets = ", ".join(map(_ps_quoted, each.copy.snapshots))
            yield f"    Move-SmallFiles $Target @({assets})"
        yield "    $script:Steps = @("
        for line in _steps(given, system, each):
            yield f"        {_ps_quoted(line)}"
        yield "    )"
        yield "}"
