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


class Metadata(unittest.TestCase):
    LINES = "//! variant f32 f32 f32 :\n//! grid 1\n"
    ENABLE = "#extension GL_KHR_shader_subgroup_basic : require\n#extension GL_KHR_shader_subgroup_shuffle : require\n"
    DATA = "layout(binding = 0) buffer Data { uint data[]; };\n"
    SHUFFLE = "void main() { data[gl_LocalInvocationIndex] = subgroupShuffleXor(data[gl_LocalInvocationIndex], 1u); }\n"

    EITHER = "#ifdef ANY_WIDTH\nvoid main() {}\n#else\n" + SHUFFLE + "#endif\n"

    def table(self, source, size="local_size_x = 64", name="add.comp"):
        """What tools/shaders.py writes, or says on standard error, of a shader of op add."""
        with tempfile.TemporaryDirectory() as folder:
            path, output = pathlib.Path(folder, name), pathlib.Path(folder, "table.cpp")
            path.write_text("#version 460\n" + self.ENABLE + f"layout({size}) in;\n" + self.DATA + source)
            command = [sys.executable, ROOT / "tools/shaders.py", "--source-root", ROOT, "--output", output, "--depfile",
                       pathlib.Path(folder, "depends"), "--allow-missing", path]
            result = subprocess.run(command, capture_output=True, text=True, check=False)
            return output.read_text() if result.returncode == 0 else result.stderr

    def test_needs_stand_in_the_table(self):
        self.assertIn('{"add", {8, 64}, 64, ', self.table(self.LINES + "//! subgroups 8 64\n" + self.EITHER))
        one_size = self.table(self.LINES + "//! subgroups 8\n//! pass first\n" + self.SHUFFLE, "local_size_x = 8")
        self.assertIn('{"add", {8, 8}, 8, ', one_size)
        self.assertIn('{"add", {0, 0}, 256, ', self.table(self.LINES + "void main() {}\n", "local_size_x = 64, local_size_y = 4"))
        self.assertIn('{"x.probe", {8, 64}, 64, ', self.table("//! subgroups 8 64\n" + self.SHUFFLE, name="x.probe.comp"))

    def test_several_sizes_bring_a_form_for_all_others(self):
        table = self.table(self.LINES + "//! subgroups 8 64\n" + self.EITHER)
        self.assertLess(table.index('{"add", {8, 64}, 64, '), table.index('{"add(-DANY_WIDTH)", {0, 0}, 64, '))
        self.assertIn("a shader with subgroup operations, and no other", self.table(self.LINES + "//! subgroups 8 64\n" + self.SHUFFLE))

    def test_every_op_runs_on_any_device(self):
        for line in ("//! subgroups 8\n", "//! when p.count > 9\n", "//! scratch 16\n"):
            self.assertIn("no shader of op add takes f32 f32 f32 on any device", self.table(self.LINES + line + self.SHUFFLE))

    def test_subgroup_operations_and_their_line_come_together(self):
        message = "a shader with subgroup operations, and no other, has a line"
        self.assertIn(message, self.table(self.LINES + self.SHUFFLE))
        self.assertIn(message, self.table(self.LINES + "//! subgroups 8 64\nvoid main() {}\n"))

    def test_sizes_that_are_none(self):
        for sizes in ("", "0", "8 4", "4 8 16", "eight"):
            self.assertIn("cannot read", self.table(self.LINES + f"//! subgroups {sizes}\n" + self.SHUFFLE))

    def test_workgroups_hold_whole_subgroups(self):
        lines = self.LINES + "//! subgroups 8 64\n" + self.SHUFFLE
        for size in ("local_size_x = 32", "local_size_x = 64, local_size_y = 2"):
            self.assertIn("no whole subgroups", self.table(lines, size))

    def test_loops_are_counted(self):
        loop = "void main() { for (uint i = 0u; i < data[1]; ++i) data[0] += data[i]; }\n"
        self.assertIn("it has loops; say how many turns they take", self.table(self.LINES + loop))
        self.assertIn("return p.count + 1;", self.table(self.LINES + "//! iterations p.count + 1\n" + loop))

    def test_what_not_every_device_has(self):
        main = "void main() { x[gl_LocalInvocationIndex] = 1.0; data[0] = uint(x[0]); }\n"
        self.assertIn("kTable", self.table(self.LINES + "shared float x[4096];\n" + main))
        self.assertIn("share 16388 bytes", self.table(self.LINES + "shared float x[4097];\n" + main))
        self.assertIn("every device has", self.table(self.LINES + "void main() {}\n", "local_size_x = 256"))


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
