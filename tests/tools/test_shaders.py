#!/usr/bin/env python3
"""What the build refuses in a shader: faults planted in small ones, compiled here."""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(os.environ.get("TANDEM_SOURCE_ROOT", pathlib.Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(ROOT / "tools"))
import spirv  # noqa: E402

HEAD = """#version 460
#extension GL_GOOGLE_include_directive : require
#include "shaders/common/aliased.glsl"
layout(local_size_x = 64) in;
"""


def compiled(source):
    with tempfile.TemporaryDirectory() as folder:
        path, output = pathlib.Path(folder, "test.comp"), pathlib.Path(folder, "test.spv")
        path.write_text(HEAD + source)
        subprocess.run(["glslangValidator", "--quiet", "--target-env", "vulkan1.2", f"-I{ROOT}", "-o", output, path], check=True)
        return output.read_bytes()


class Views(unittest.TestCase):
    """Bindings 1 and 17 are one operand."""

    MAIN = "void main() { out_[0] = imageLoad(in_, 0); }\n"

    def module(self, image, buffer, main=MAIN):
        return spirv.Module(compiled(f"{image} uimageBuffer in_;\n{buffer} buffer Out {{ uvec4 out_[]; }};\n{main}"))

    def check_refused(self, image, buffer, main=MAIN):
        with self.assertRaisesRegex(ValueError, "bindings 1 and 17 are views of one operand"):
            self.module(image, buffer, main)

    def test_both_aliased_and_writable(self):
        module = self.module("ALIASED layout(binding = 17, rgba32ui) uniform", "ALIASED layout(binding = 1) writeonly")
        self.assertEqual(list(module.bindings), [1, 17])

    def test_of_different_operands(self):
        self.module("layout(binding = 2, rgba32ui) uniform readonly", "layout(binding = 1) writeonly")

    def test_neither_or_one_aliased(self):
        for first, second in (("", ""), ("ALIASED ", ""), ("", "ALIASED ")):
            self.check_refused(first + "layout(binding = 17, rgba32ui) uniform", second + "layout(binding = 1) writeonly")

    def test_one_readonly(self):
        self.check_refused("ALIASED layout(binding = 17, rgba32ui) uniform readonly", "ALIASED layout(binding = 1)")
        self.check_refused("ALIASED layout(binding = 17, rgba32ui) uniform", "ALIASED layout(binding = 1) readonly",
                           "void main() { imageStore(in_, 0, out_[0]); }\n")

    def test_neither_written(self):
        reads = "layout(binding = 3) buffer Sum { uvec4 sum; };\nvoid main() { sum = imageLoad(in_, 0) + out_[0]; }\n"
        module = self.module("layout(binding = 17, rgba32ui) uniform readonly", "layout(binding = 1) readonly", reads)
        self.assertEqual(list(module.bindings), [1, 3, 17])


if __name__ == "__main__":
    unittest.main()
