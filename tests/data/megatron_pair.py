#!/usr/bin/env python3
"""A pair of files that megatron-core wrote, read by Tandem. Under TANDEM_FULL alone: the package comes from PyPI.

Its module for token files is loaded from the package with stand-ins for torch, of which it wants the names alone.
"""
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import types

from own_venv import full_test

PACKAGES = ["megatron-core==0.16.1", "numpy==2.2.6"]
DOCUMENTS = [[[1, 2, 65535], [4]], [[5, 6]], [[7], [8, 9, 10, 11], [12]]]  # documents of sequences of tokens


def stand_in(name, **attributes):
    module = types.ModuleType(name)
    module.__dict__.update(attributes)
    sys.modules[name] = module


def builder(dtype, path):
    """megatron-core's builder of a pair, without torch and the rest of the package."""
    root = pathlib.Path(importlib.util.find_spec("megatron").submodule_search_locations[0]) / "core"
    stand_in("torch", Tensor=object, utils=types.SimpleNamespace(data=types.SimpleNamespace(Dataset=object)),
             int32=None, dtype=object)
    for name in ("megatron.core", "megatron.core.datasets"):
        stand_in(name, __path__=[str(root if name.endswith("core") else root / "datasets")])
    stand_in("megatron.core.utils", log_single_rank=lambda *arguments: None)
    stand_in("megatron.core.msc_utils", MultiStorageClientFeature=types.SimpleNamespace(is_enabled=lambda: False))
    names = [line.strip(" ,") for line in (root / "datasets/indexed_dataset.py").read_text().split(
        "from megatron.core.datasets.object_storage_utils import (")[1].split(")")[0].split("\n") if line.strip()]
    stand_in("megatron.core.datasets.object_storage_utils", S3Config=None, **{name: None for name in names})
    module = importlib.import_module("megatron.core.datasets.indexed_dataset")
    return module.IndexedDatasetBuilder(path, dtype=dtype)


class Tokens(list):
    def numpy(self):
        return list(self)


def tandem(*arguments):
    done = subprocess.run([os.environ["TANDEM_EXECUTABLE"], *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"tandem {' '.join(arguments)}: exit {done.returncode}: {done.stderr}")
    return json.loads(done.stdout)


def check(directory):
    import numpy
    for dtype in (numpy.uint16, numpy.int32):
        pair = str(directory / dtype.__name__)
        build = builder(dtype, pair + ".bin")
        for document in DOCUMENTS:
            for sequence in document:
                build.add_item(Tokens(sequence))
            build.end_document()
        build.finalize(pair + ".idx")
        info = tandem("data", "info", "--json", pair + ".idx")
        shown = tandem("data", "show", "--json", pair + ".idx")["documents"]
        tokens = [[token for piece in document["pieces"] for token in piece["ids"]] for document in shown]
        expected = [sum(document, []) for document in DOCUMENTS]
        if info["format"] != "megatron" or info["documents"] != len(expected) or tokens != expected:
            sys.exit(f"{dtype.__name__}: {info}, documents {tokens}, expected {expected}")
        print(f"megatron-core, {dtype.__name__}: {info['documents']} documents, {info['tokens']} tokens, 0 differences")


if __name__ == "__main__":
    sys.exit(full_test(__file__, check, "--no-deps", *PACKAGES))
