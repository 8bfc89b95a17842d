"""Tests that compare with packages of PyPI run in a venv of their own, and under TANDEM_FULL alone."""
import os
import pathlib
import subprocess
import sys
import tempfile

SKIPPED = 77  # what Meson takes for a test that was skipped


def call_again(script, *requirements):
    """Runs script, with this call's arguments, in a venv that pip fills: its exit code. $TANDEM_OWN_VENV is then a
    temporary directory, which holds the venv. requirements: what pip install takes."""
    with tempfile.TemporaryDirectory() as directory:
        venv = pathlib.Path(directory) / "venv"
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        python = str(venv / "bin/python3")
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile",
                        *requirements], check=True)
        environment = {**os.environ, "TANDEM_OWN_VENV": directory}
        return subprocess.run([python, script, *sys.argv[1:]], env=environment, check=False).returncode


def full_test(script, check, *requirements):
    """The exit code of a test: check(directory) in the venv."""
    if not os.environ.get("TANDEM_FULL"):
        print("skipped: wants TANDEM_FULL, which tools/test --full sets")
        return SKIPPED
    directory = os.environ.get("TANDEM_OWN_VENV")
    return check(pathlib.Path(directory)) if directory else call_again(script, *requirements)
