#!/usr/bin/env python3
"""Which part may include which, and that the meson.build files name every source."""

import os
import pathlib
import re
import unittest

ROOT = pathlib.Path(os.environ.get("TANDEM_SOURCE_ROOT", pathlib.Path(__file__).resolve().parents[2]))

# The folders of core, a chain: each may include its own files and those of the rows before it that it names.
CORE = {
    "base": [],
    "abi": [],
    "ops": ["base", "abi"],
    "graph": ["base", "abi", "ops"],
    "program": ["base", "ops", "graph/initial.h", "graph/range.h", "graph/rows.h"],
    "passes": ["base", "ops", "graph", "program"],
    "data": ["base", "abi"],
    "model": ["base", "abi", "ops", "graph", "data"],
    "optimizer": ["base", "abi", "ops", "graph", "model"],
    "runtime": ["base", "abi", "ops", "graph/range.h", "program"],
    "step": ["base", "abi", "ops", "graph", "program", "passes", "data", "model", "optimizer", "runtime"],
    "rates": ["base", "ops", "graph", "program", "runtime", "step"],
    "plan": ["base", "abi", "ops", "graph", "program", "passes", "model", "optimizer", "runtime", "step", "rates"],
    "run": ["base", "abi", "ops", "graph", "program", "passes", "data", "model", "optimizer", "runtime", "step", "rates",
            "plan"],
    "infer": ["base", "abi", "ops", "graph", "program", "passes", "data", "model", "optimizer", "runtime", "step", "plan",
              "run"],
    "report": ["base", "run"],
}

# folder: the folders whose files it may include, longest match first
MAY_INCLUDE = {
    **{f"core/{folder}": [f"core/{f}" for f in (folder, *others)] for folder, others in CORE.items()},
    "backends/common": ["core", "backends/common"],
    "backends/vulkan": ["core", "backends/common", "backends/vulkan"],
    "backends/cuda": ["core", "backends/common", "backends/cuda", "kernels"],
    "kernels": ["core/abi", "core/base/dtype.h", "core/ops/op.h", "core/ops/table.inc", "kernels",
                "tests/support/cuda_host/device.h"],
    "shaders": ["core/abi", "shaders"],
    "cli": ["core", "backends", "cli"],
    "tests": ["core", "backends", "kernels", "cli", "tests"],
}
GENERATED = {"cli/commit.h", "cli/options.h", "core/build_id.h", "core/base/places.h"}  # by the build
# Ops are named where graphs are built and differentiated; whoever reads a graph or a Program asks the op's row.
OP_NAMED = re.compile(r"OpId::[a-z]")
OP_NAMED_IN = ["core/ops", "core/graph", "core/model", "core/optimizer"]
OPS_ASKED_IN = ["core", "cli", "backends"]
VENDOR = re.compile(r"^(vulkan/|volk|cuda|cublas|cudnn|nccl|nvml|nvrtc|nvtx)")
VENDOR_IN = ["backends", "kernels", "tests"]
SOURCE = {".h", ".hpp", ".inc", ".cpp", ".cu", ".cuh", ".comp", ".glsl"}
COMPILED = {".cpp", ".c", ".comp"}


def inside(path, folder):
    return path == folder or path.startswith(folder + "/")


def violations(path, text):
    """The includes in text that the file at path, relative to the root, may not have."""
    folder = max((f for f in MAY_INCLUDE if inside(path, f)), key=len, default=None)
    if folder is None:
        return []
    found = []
    for bracket, name in re.findall(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', text, re.M):
        if VENDOR.match(name):
            if not any(inside(path, f) for f in VENDOR_IN):
                found.append(f"{path} includes {name}: only backends know a GPU's API")
        elif bracket == '"':
            if not (ROOT / name).exists() and name not in GENERATED:
                found.append(f"{path} includes {name}, which is not a path from the root")
            elif not any(inside(name, f) for f in MAY_INCLUDE[folder]):
                found.append(f"{path} includes {name}: {folder} may include {', '.join(MAY_INCLUDE[folder])} only")
    return found


def names_an_op(path, text):
    """The lines of text, at path, that name an op where its row is to be asked."""
    if not any(inside(path, f) for f in OPS_ASKED_IN) or any(inside(path, f) for f in OP_NAMED_IN):
        return []
    return [f"{path}: {line.strip()}" for line in text.splitlines() if OP_NAMED.search(line)]


def sources(suffixes, *folders):
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in suffixes:
                yield str(path.relative_to(ROOT)), path


def listed_files(build):
    """The files that a meson.build names, relative to the root."""
    folder = build.parent.relative_to(ROOT)
    return {os.path.normpath(folder / name) for name in re.findall(r"'([^'\n]+\.(?:cpp|c|comp))'", build.read_text())}


class Layering(unittest.TestCase):
    def test_includes_follow_the_layers(self):
        checked, found = 0, []
        for path, file in sources(SOURCE, *MAY_INCLUDE):
            checked += 1
            found += violations(path, file.read_text())
        self.assertGreater(checked, 100)
        self.assertEqual(sorted(set(found)), [])

    def test_the_folders_of_core_are_a_chain(self):
        folders = list(CORE)
        self.assertEqual(sorted(folders), sorted(p.name for p in (ROOT / "core").iterdir() if p.is_dir()))
        for position, folder in enumerate(folders):
            for other in CORE[folder]:
                self.assertIn(other.split("/")[0], folders[:position], f"{folder} names {other}")

    def test_a_wrong_include_is_found(self):
        for path, include in [
            ("core/base/x.h", '#include "cli/commands.h"'),
            ("core/passes/x.cpp", '#include "core/run/config.h"'),
            ("core/passes/x.cpp", '#include "core/abi/gemm.h"'),
            ("core/ops/x.cpp", '#include "core/graph/backward.h"'),
            ("core/program/x.cpp", '#include "core/graph/graph.h"'),
            ("core/plan/x.h", '#include "core/data/loader.h"'),
            ("core/abi/x.h", '  #  include "core/base/error.h"'),
            ("core/runtime/x.cpp", "#include <vulkan/vulkan.h>"),
            ("core/runtime/x.cpp", "#include <cuda_runtime.h>"),
            ("cli/x.cpp", "#include <volk.h>"),
            ("backends/cuda/x.cpp", '#include "backends/vulkan/shader_table.h"'),
            ("backends/vulkan/x.cpp", '#include "cli/commands.h"'),
            ("cli/x.cpp", '#include "tests/support/op_case.h"'),
            ("core/base/x.cpp", '#include "error.h"'),
        ]:
            with self.subTest(path=path, include=include):
                self.assertEqual(len(violations(path, include + "\n")), 1)

    def test_ops_are_asked_not_named(self):
        found = [line for path, file in sources(SOURCE, *OPS_ASKED_IN) for line in names_an_op(path, file.read_text())]
        self.assertEqual(found, [])
        planted = "if (node.op == OpId::gemm) return;\n"
        self.assertEqual(len(names_an_op("core/passes/x.cpp", planted)), 1)
        self.assertEqual(len(names_an_op("backends/cuda/x.cpp", planted)), 1)
        self.assertEqual(names_an_op("core/graph/x.cpp", planted), [])

    def test_the_build_names_every_source(self):
        ops = re.findall(r"^OP\((\w+)\)", (ROOT / "core/ops/table.inc").read_text(), re.M)
        named = {f"{folder}/{op}.cpp" for op in ops for folder in ("core/ops", "tests/ops")}
        for folder in ("core", "backends", "shaders", "cli", "tests"):
            for build in (ROOT / folder).rglob("meson.build"):
                named |= listed_files(build)
        present = {path for path, _ in sources(COMPILED, "core", "backends", "shaders", "cli", "tests")}
        self.assertEqual(sorted(present - named), [], "missing in a meson.build")


if __name__ == "__main__":
    unittest.main()
