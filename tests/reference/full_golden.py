"""References of optimizers, made anew under TANDEM_FULL alone: what the packages make today is what is checked in, up to the order of
sums of another processor.  usage: full_golden.py adalomo|muon|projected|released CASES_DIR"""
import pathlib
import subprocess
import sys

here = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(here.parent / "data"))
from own_venv import full_test  # noqa: E402

LOMO = ("lomo-optim==0.1.1", "transformers==4.57.1", "accelerate==1.15.0")
PACKAGES = {"adalomo": LOMO, "muon": (), "projected": ("apollo-torch==1.0.3",), "released": LOMO}


def tolerance(maker, name):
    """The NMSE of a tensor; that order decides roundings to bf16 in what muon makes of its products."""
    if maker == "muon":
        return 1e-3 if name.endswith((".direction", ".after")) else 1e-12
    return 1e-12 if maker == "projected" and not name.endswith(".after") else 1e-10


def check(directory):
    from safetensors.torch import load_file

    maker, cases = sys.argv[1], pathlib.Path(sys.argv[2]).resolve()
    subprocess.run([sys.executable, here / f"{maker}.py", directory], check=True)
    new, old = (load_file(parent / f"{maker}/golden.safetensors") for parent in (directory, cases))
    assert new.keys() == old.keys(), sorted(new.keys() ^ old.keys())
    for name, tensor in new.items():
        finite = old[name].isfinite()
        assert (tensor.isfinite() == finite).all(), name
        error = float(((tensor - old[name])[finite] ** 2).sum() / (old[name][finite] ** 2).sum())
        assert error < tolerance(maker, name), (name, error)
    return 0


if __name__ == "__main__":
    sys.exit(full_test(__file__, check, "torch==2.9.1", "numpy", "safetensors", *PACKAGES[sys.argv[1]]))
