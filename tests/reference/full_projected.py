"""References of APOLLO and GaLore, made anew under TANDEM_FULL alone: what apollo_torch makes today is what is checked in, up to the
order of sums of another processor.  usage: full_projected.py CASES_DIR"""
import pathlib
import subprocess
import sys

here = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(here.parent / "data"))
from own_venv import full_test  # noqa: E402


def check(directory):
    from safetensors.torch import load_file

    cases = pathlib.Path(sys.argv[1]).resolve()
    subprocess.run([sys.executable, here / "projected.py", directory], check=True)
    new, old = (load_file(parent / "projected/golden.safetensors") for parent in (directory, cases))
    assert new.keys() == old.keys(), sorted(new.keys() ^ old.keys())
    for name, tensor in new.items():
        error = float(((tensor - old[name]) ** 2).sum() / (old[name] ** 2).sum())
        assert error < (1e-10 if name.endswith(".after") else 1e-12), (name, error)
    return 0


if __name__ == "__main__":
    sys.exit(full_test(__file__, check, "torch==2.9.1", "numpy", "safetensors", "apollo-torch==1.0.3"))
