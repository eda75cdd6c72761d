"""Makes .venv and installs this project into it; a second run sees that nothing changed and ends at once.

    python3 .ci/install.py          what a user needs
    python3 .ci/install.py --dev    and what the tests need

Standard library only: it runs before anything is installed. What can go wrong is looked for first, and said in one
sentence with its cure.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
LOG = VENV / "install.log"
GIGABYTES = 4  # what .venv, the built LLM runtime and pip's cache take
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"
TOOLS = {  # a Debian package: what needs it, the names under which it may be there already
    "chromium": ("the browser tests", ("chromium", "chromium-browser", "google-chrome")),
    "strace": ("the tests that kill a process at each system call", ("strace",)),
    "nginx-light": ("the test behind nginx", ("nginx", "/usr/sbin/nginx")),
    "haproxy": ("the test behind HAProxy", ("haproxy", "/usr/sbin/haproxy")),
}


def main() -> None:
    extra = "[dev]" if "--dev" in sys.argv[1:] else ""
    stamp = VENV / f"installed{extra}"
    wanted = hashlib.sha256(
        b"".join((ROOT / f).read_bytes() for f in ("pyproject.toml", "constraints.txt"))
    ).hexdigest()
    enough = {stamp, VENV / "installed[dev]"}  # what the tests need holds what a user needs
    if not any(s.is_file() and s.read_text() == wanted for s in enough):
        check()
        start = time.monotonic()
        print("installing into .venv (once; about 8 minutes, most of it compiling llama.cpp)", flush=True)
        step("making .venv", [sys.executable, "-m", "venv", str(VENV)])
        torch()
        pip("installing everything else", "-c", "constraints.txt", "-e", f".{extra}")
        step("making the fast form of the embedder", [str(BIN / "python"), "-m", "rag.models"])
        stamp.write_text(wanted)
        print(f"installed in {time.monotonic() - start:.0f} s", flush=True)
    if extra:
        tools()


def check() -> None:
    """Refuse now what would fail minutes later."""
    if sys.version_info < (3, 11):
        stop(f"Python 3.11 or newer is needed, this is {sys.version.split()[0]}", "make chat PYTHON=python3.12")
    if not shutil.which(os.environ.get("CXX", "c++")) and not shutil.which("g++") and not shutil.which("clang++"):
        stop(
            "a C and C++ compiler is needed to build llama-cpp-python",
            "Debian or Ubuntu: apt install build-essential; Fedora: dnf install gcc-c++; macOS: xcode-select --install",
        )
    free = shutil.disk_usage(ROOT).free / 1e9
    if free < GIGABYTES:
        stop(f"{GIGABYTES} GB of disk are needed, {free:.1f} GB are free", "make room, then run the same command again")


def torch() -> None:
    """The CPU build, never the gigabytes of the GPU one: from the default index if it is there, else from its own."""
    pinned = next(
        line.split(";")[0].strip()
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if line.startswith("torch==") and ('== "darwin"' in line) == (sys.platform == "darwin")
    )
    command = [str(BIN / "python"), "-m", "pip", "install", "--quiet", "-c", "constraints.txt", pinned]
    if run(command) != 0:
        step("installing torch (CPU)", [*command, "--index-url", TORCH_CPU_INDEX])


def pip(what: str, *args: str) -> None:
    step(what, [str(BIN / "python"), "-m", "pip", "install", "--quiet", *args])


def step(what: str, command: list[str]) -> None:
    print(f"  {what} ...", flush=True)
    if run(command) != 0:
        tail = LOG.read_text(errors="replace") if LOG.exists() else ""
        stop(
            f"{what} failed{why(tail)}",
            f"the whole story is in {LOG.relative_to(ROOT)}; then run the same command again",
        )


def why(log: str) -> str:
    """The likeliest reason in a log, as half a sentence."""
    for sign, reason in (
        ("No space left on device", ": the disk is full, make room"),
        ("NewConnectionError", ": there is no network, or no package index behind it"),
        ("Failed to establish a new connection", ": there is no network, or no package index behind it"),
        ("Could not fetch URL", ": there is no network, or no package index behind it"),
        ("Temporary failure in name resolution", ": there is no network, or no package index behind it"),
        ("Failed building wheel for llama-cpp-python", ": llama.cpp did not compile, check that cc and c++ work"),
        ("ResolutionImpossible", ": the package index cannot be reached or does not hold it, check the network"),
        ("No matching distribution", ": the package index cannot be reached or does not hold it, check the network"),
        ("ensurepip", ": Python's venv module is incomplete, apt install python3-venv"),
    ):
        if sign in log:
            return reason
    return ""


def tools() -> None:
    """What the tests need beside Python; as root on Debian it is installed, elsewhere those tests skip and say so."""
    missing = [tool for tool in TOOLS if not there(tool)]
    if missing and os.name == "posix" and os.geteuid() == 0 and shutil.which("apt-get"):
        print(f"  installing {' and '.join(missing)} for the tests ...", flush=True)
        run(["apt-get", "update", "-qq"])
        for tool in missing:
            run(["apt-get", "install", "-y", "-qq", tool], DEBIAN_FRONTEND="noninteractive")
    for tool in missing:
        if not there(tool):
            print(f"  no {tool}: {TOOLS[tool][0]} will be skipped (apt install {tool})", flush=True)


def there(tool: str) -> bool:
    return any(shutil.which(name) for name in TOOLS[tool][1])


def run(command: list[str], **environment: str) -> int:
    """The command's exit code; all that it says goes to the log."""
    LOG.parent.mkdir(exist_ok=True)
    with LOG.open("ab") as log:
        log.write(f"\n$ {' '.join(command)}\n".encode())
        log.flush()
        settings = os.environ | environment | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        return subprocess.run(command, cwd=ROOT, stdout=log, stderr=log, env=settings, check=False).returncode


def stop(what: str, cure: str) -> None:
    print(f"rag: {what}\n     {cure}", file=sys.stderr)
    raise SystemExit(1)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        stop("stopped", "run the same command again: what is installed is kept")
