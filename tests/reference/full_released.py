"""The references of clipping by tensor and of lomo-optim, made anew under TANDEM_FULL alone: what torch and lomo-optim make today is
what is checked in.  usage: full_released.py CASES_DIR"""
import pathlib
import subprocess
import sys

here = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(here.parent / "data"))
from own_venv import full_test  # noqa: E402


def check(directory):
    from safetensors.torch import load_file

    cases = pathlib.Path(sys.argv[1]).resolve()
    subprocess.run([sys.executable, here / "released.py", directory], check=True)
    new, old = (load_file(parent / "released/golden.safetensors") for parent in (directory, cases))
    assert new.keys() == old.keys(), sorted(new.keys() ^ old.keys())
    for name, tensor in new.items():
        finite = old[name].isfinite()
        assert (tensor.isfinite() == finite).all(), name
        error = float(((tensor - old[name])[finite] ** 2).sum() / (old[name][finite] ** 2).sum())
        assert error < 1e-10, (name, error)
    return 0


if __name__ == "__main__":
    sys.exit(full_test(__file__, check, "torch==2.9.1", "numpy", "safetensors", "lomo-optim==0.1.1",
                       "transformers==4.57.1", "accelerate==1.15.0"))
