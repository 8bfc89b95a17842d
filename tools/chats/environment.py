"""The packages of tools/requirements.txt, in .venv-tokenize of the checkout."""

import os
import pathlib
import shutil
import subprocess
import sys

from chats.fault import Fault

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
REQUIREMENTS = CHECKOUT / "tools" / "requirements.txt"
VENV = CHECKOUT / ".venv-tokenize"


def wanted():
    """What the environment was made of, as it is written into it when it is whole."""
    return f"python {sys.version_info.major}.{sys.version_info.minor}\n" + REQUIREMENTS.read_text("utf-8")


def is_made():
    stamp = VENV / "made-of.txt"
    return stamp.is_file() and stamp.read_text("utf-8") == wanted()


def run(command, remedy):
    result = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if result.returncode != 0:
        last = result.stdout.strip().splitlines()[-1:] or ["no reason given"]
        raise Fault(2, VENV, f"cannot be made: {last[0]}; {remedy}")


def make():
    """Beside, then renamed, so that it is whole or not there."""
    print(f"tokenize: making {VENV} of {REQUIREMENTS}, once", file=sys.stderr)
    beside = VENV.with_name(f"{VENV.name}-{os.getpid()}")
    try:
        run([sys.executable, "-m", "venv", beside], "install the Debian package python3-venv")
        run(
            [
                beside / "bin" / "python3",
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "-r",
                REQUIREMENTS,
            ],
            "chats need these packages from PyPI, once",
        )
        (beside / "made-of.txt").write_text(wanted(), "utf-8")
        shutil.rmtree(VENV, ignore_errors=True)
        beside.rename(VENV)
    except OSError as error:
        if not is_made():  # by another process, at the same time
            raise Fault(2, VENV, f"cannot be made: {error.strerror or error}") from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def enter():
    """Lets this process import them."""
    if not is_made():
        make()
    path = f"{VENV}/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    if path not in sys.path:
        sys.path.insert(0, path)
