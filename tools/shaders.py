#!/usr/bin/env python3
"""Compiles shaders/*.comp to SPIR-V and writes the C++ file that embeds them (backends/vulkan/shader_table.h).

A file is named <op>.comp or <op>.<variant>.comp, or *.probe.comp; lines that begin with //! say when and how it is used:
  //! variant f32 f32 ? - : -DF32          a compile: the operands' dtypes (`?` anything, `-` absent) and its -D flags
  //! subgroups 8                          it has subgroup operations, for subgroups of 8 invocations; preferred on devices with those
  //! subgroups 8 64                       the same for any size from 8 to 64; compiled once more with -DANY_WIDTH for all other devices
  //! when p.k % 8 == 0                    C++ condition over the op's parameters p; preferred to a file without
  //! specialize 0 p.accumulate            specialization constant 0, a C++ expression
  //! grid divide_up(p.n, 64), p.m         C++ expressions: workgroups in x, y, z; sums of 32 bits would wrap, core/base/size.h does not
  //! iterations p.k / 8 + 2               C++ expression: turns that the loops of an invocation take at most, plus one a loop begun; shaders with
                                           loops must have it, for software Vulkan ends them silently after so many (backends/vulkan/physical_device.h)
  //! scratch (p.m + 1) * 4                C++ expression: bytes of a buffer at the binding after the operands'; preferred where they fit
  //! after pack                           the op's shader with '//! pass pack' runs first, with the same scratch
  //! pass pack                            never chosen for itself
  //! generate tools/x.py ARGS             the GLSL is what this script prints, run with ARGS and the variant's -D flags
A probe (backends/vulkan/probe.h) has one buffer, at binding 0, and no lines but that of its subgroups. How many invocations a workgroup has is read from the SPIR-V.
Compiles are cached beside the output under a hash of everything that they read.
"""

import argparse
import concurrent.futures
import copy
import hashlib
import pathlib
import re
import subprocess
import shutil
import sys

import spirv

DTYPES = ("f32", "bf16", "e4m3", "i32", "u32", "u8", "e5m3")
ENVIRONMENT = "vulkan1.2"
SHARED_BYTES = 16384  # that a workgroup may have on every device


class Failure(Exception):
    pass


class ShaderFile:
    """A shader file's metadata."""

    def __init__(self, path, root):
        self.path, self.root = path, root
        self.op, self.probe = path.stem.partition(".")[0], path.stem.endswith(".probe")
        self.header = None if self.probe else abi_header(root, self.op)
        self.struct = None if self.probe else re.search(r"TANDEM_ABI_END\((\w+)\)", self.header.read_text())[1]
        self.variants, self.specialize = [([], [])] if self.probe else [], []
        self.subgroups, self.when, self.grid, self.generate = (0, 0), None, None, None
        self.scratch, self.after, self.pass_, self.iterations, self.turns = None, None, None, None, 1
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if line.startswith("//!"):
                key, _, value = line[3:].strip().partition(" ")
                if not self._take(key, value.strip()):
                    raise Failure(f"{path}:{number}: cannot read '{line}'; see tools/shaders.py for what may stand there")
        if not self.probe and (not self.variants or self.grid is None):
            raise Failure(f"{path}: a shader needs at least one '//! variant' line and a '//! grid' line")

    def _take(self, key, value):
        if key == "variant":
            dtypes, _, flags = value.partition(":")
            self.variants.append((dtypes.split(), flags.split()))
            return all(d in DTYPES + ("?", "-") for d in dtypes.split()) and all(f.startswith("-D") for f in flags.split())
        if key == "specialize":
            constant, _, expression = value.partition(" ")
            self.specialize.append((constant, expression))
            return constant.isdigit() and expression != ""
        if key == "subgroups":
            sizes = [int(size) for size in value.split() if size.isdigit()]
            self.subgroups = (sizes[0], sizes[-1]) if sizes else (0, 0)
            return len(sizes) in (1, 2) and 0 < sizes[0] <= sizes[-1]
        if key in ("when", "grid", "generate", "iterations", "scratch", "after", "pass") and value:
            setattr(self, {"pass": "pass_"}.get(key, key), value if key != "generate" else value.split())
            return True
        return False

    def forms(self):
        """The file, and where its subgroups may be of several sizes, the file as it is compiled for devices with none of them."""
        least, most = self.subgroups
        if self.probe or least == most:
            return [self]
        portable = copy.copy(self)
        portable.subgroups, portable.turns = (0, 0), 8
        portable.variants = [(dtypes, [*flags, "-DANY_WIDTH"]) for dtypes, flags in self.variants]
        return [self, portable]

    def order(self):
        """The shaders of an op, most special first."""
        least, most = self.subgroups
        return (self.op, most == 0 or least < most, self.scratch is None, self.when is None, most == 0, self.path.name)


def abi_header(root, op):
    """core/abi/<op>.h, or that of the longest beginning of the op's name which has one."""
    words = op.split("_")
    for count in range(len(words), 0, -1):
        header = root / "core/abi" / ("_".join(words[:count]) + ".h")
        if header.exists():
            return header
    raise Failure(f"no header core/abi/{op}.h for shader of op {op}")


def dependencies(path, root, found=None):
    """path and all that it includes or, for a generator, imports from its folder."""
    found = {} if found is None else found
    if path in found:
        return found
    found[path] = path.read_bytes()
    text = found[path].decode()
    if path.suffix == ".py":
        names = re.findall(r"^(?:from|import)\s+(\w+)", text, re.M)
        candidates = [path.parent / f"{name}.py" for name in names]
    else:
        names = re.findall(r'^\s*#\s*include\s+"([^"]+)"', text, re.M)
        candidates = [c for name in names for c in (root / name, path.parent / name)]
    for candidate in candidates:
        if candidate.exists():
            dependencies(candidate, root, found)
    return found


class Compile:
    """One variant of one shader file."""

    def __init__(self, file, dtypes, flags, arguments):
        self.file, self.dtypes, self.flags = file, dtypes, flags
        self.name = file.path.stem + (f"({' '.join(flags)})" if flags else "")
        self.read = dependencies(file.path, file.root)
        for script in (file.generate or [])[:1]:
            dependencies(file.root / script, file.root, self.read)
        key = hashlib.sha256(repr((arguments.versions, file.generate, flags)).encode())
        for path in sorted(self.read):
            key.update(f"{path.name}\0{len(self.read[path])}\0".encode() + self.read[path])
        self.output = arguments.cache / f"{file.path.stem}-{key.hexdigest()[:24]}.spv"

    def run(self, arguments):
        root = self.file.root
        if not self.output.exists():
            temporary = self.output.with_suffix(".tmp")
            source = self.file.path
            if self.file.generate:
                source = self.output.with_suffix(".comp")
                command = [sys.executable, str(root / self.file.generate[0]), *self.file.generate[1:], *self.flags]
                source.write_text(self._check(command))
            self._check([arguments.glslang, "--quiet", "--target-env", ENVIRONMENT, f"-I{root}", *self.flags,
                         "-o", str(temporary), str(source)])
            if arguments.validator:
                self._check([arguments.validator, "--target-env", ENVIRONMENT, str(temporary)])
            temporary.rename(self.output)
        self.code = self.output.read_bytes()
        self._inspect()

    def _check(self, command):
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode:
            raise Failure(f"{self.name}: {' '.join(command)} failed\n{result.stdout}{result.stderr}")
        return result.stdout

    def _inspect(self):
        try:
            self.module = spirv.Module(self.code)
        except ValueError as error:
            raise Failure(f"{self.name}: {error}") from error
        self._check_needs()
        if self.module.parameters and self.module.parameters[0] != self.file.struct:
            raise Failure(f"{self.name}: push constants hold {self.module.parameters[0]}, not {self.file.struct}")
        buffers = len(self.dtypes) + bool(self.file.scratch or self.file.pass_ or self.file.probe)
        for binding in self.module.bindings:
            if binding % spirv.SECOND_VIEW >= buffers or binding >= 2 * spirv.SECOND_VIEW:
                raise Failure(f"{self.name}: binding {binding} is none of its {len(self.dtypes)} operands")


    def _check_needs(self):
        """What backends/vulkan asks of a device for this shader: its features, its subgroups, the invocations of a workgroup."""
        module, (least, most) = self.module, self.file.subgroups
        known = spirv.CAPABILITIES | (spirv.SUBGROUP_CAPABILITIES if most else {})
        unknown = [c for c in module.capabilities if c not in known]
        if bool(most) != any(c in spirv.SUBGROUP_CAPABILITIES for c in module.capabilities):
            raise Failure(f"{self.name}: a shader with subgroup operations, and no other, has a line '//! subgroups LEAST MOST'")
        if unknown:
            raise Failure(f"{self.name}: SPIR-V capabilities {unknown} are asked of no device; known: {known}")
        if module.has_loops and not (self.file.iterations or self.file.probe or self.file.turns > 1):
            raise Failure(f"{self.name}: it has loops; say how many turns they take by a line '//! iterations'")
        x, y, z = module.workgroup
        if most and (x % most or (y, z) != (1, 1)):
            raise Failure(f"{self.name}: workgroups of {x} x {y} x {z} are no whole subgroups of up to {most} invocations")
        if max(x, y, 2 * z) > 128 or module.shared_bytes > SHARED_BYTES:
            raise Failure(f"{self.name}: workgroups of {x} x {y} x {z} that share {module.shared_bytes} bytes; every device has workgroups "
                          f"of at least 128 in x or y and 64 in z, and {SHARED_BYTES} bytes")


def split_commas(text):
    """Parts of text between the commas that stand outside parentheses."""
    parts, depth = [""], 0
    for c in text:
        depth += (c in "([{") - (c in ")]}")
        if c == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += c
    return [part.strip() for part in parts]


def literal(code):
    """A C string of the bytes: compilers read it many times faster than a list of numbers."""
    lines = ("".join(f"\\{b:03o}" for b in code[i : i + 32]) for i in range(0, len(code), 32))
    return "\n".join(f'    "{line}"' for line in lines)


def write_file_functions(out, index, file):
    """The C++ expressions of a file's metadata, as functions of the parameters."""
    load = f"[[maybe_unused]] const auto p = parameters.as<{file.struct}>();"
    if file.when:
        out.append(f"bool when_{index}(const Parameters& parameters) {{\n  {load}\n  return {file.when};\n}}")
    if file.scratch:
        out.append(f"uint64_t scratch_{index}(const Parameters& parameters) {{\n  {load}\n  return {file.scratch};\n}}")
    if file.iterations:
        out.append(f"uint64_t iterations_{index}(const Parameters& parameters) {{\n  {load}\n  return {file.iterations};\n}}")
    if file.grid:
        counts = ", ".join(f"uint32_t({part})" for part in split_commas(file.grid))
        out.append(f"Grid grid_{index}(const Parameters& parameters) {{\n  {load}\n  return {{{counts}}};\n}}")
    if file.specialize:
        lines = "".join(f"  values[{i}] = uint32_t({e});\n" for i, (_, e) in enumerate(file.specialize))
        out.append(f"void specialize_{index}(const Parameters& parameters, uint32_t* values) {{\n  {load}\n{lines}}}")
        out.append(f"const uint32_t constants_{index}[] = {{{', '.join(c for c, _ in file.specialize)}}};")


def shader_code(compiled, index, number, words):
    """The ShaderCode of a compile."""
    file, module = compiled.file, compiled.module
    x, y, z = module.workgroup
    return (f'{{"{compiled.name}", {{{file.subgroups[0]}, {file.subgroups[1]}}}, {x * y * z}, '
            f'{f"bindings_{number}" if module.bindings else "{}"}, {f"constants_{index}" if file.specialize else "{}"}, '
            f'{module.parameters[1] if module.parameters else 0}, words_{words}, {len(compiled.code)}}}')


def row(compiled, index, number, words):
    """The Shader of a compile of an op's file."""
    file = compiled.file
    return (f'    {{OpId::{file.op}, dtypes_{number}, {f"when_{index}" if file.when else "nullptr"}, grid_{index}, '
            f'{f"specialize_{index}" if file.specialize else "nullptr"}, {f"scratch_{index}" if file.scratch else "nullptr"}, '
            f'{f"iterations_{index}" if file.iterations else "nullptr"}, {file.turns}, '
            f'"{file.after or ""}", "{file.pass_ or ""}", {shader_code(compiled, index, number, words)}}},')


def array(type_, name, rows):
    return f"const {type_} {name}[] = {{\n{chr(10).join(rows)}\n}};" if rows else f"const std::span<const {type_}> {name};"


def generate_source(compiles):
    headers = sorted({str(c.file.header.relative_to(c.file.root)) for c in compiles if c.file.header})
    out = ["// Written by tools/shaders.py: do not edit.", '#include "backends/vulkan/shader_table.h"',
           *(f'#include "{header}"' for header in headers),
           '#pragma GCC diagnostic ignored "-Woverlength-strings"',
           "namespace tandem::vulkan {\nnamespace {\nusing namespace tandem::abi;"]
    files, words, rows, probes = {}, {}, [], []
    for number, compiled in enumerate(compiles):
        if compiled.file.path not in files:
            files[compiled.file.path] = len(files)
            write_file_functions(out, files[compiled.file.path], compiled.file)
        if compiled.code not in words:
            words[compiled.code] = number
            out.append(f"alignas(4) const char words_{number}[] =\n{literal(compiled.code)};")
        bindings = ", ".join(f"{{{b}, {f or 'VK_FORMAT_UNDEFINED'}}}" for b, f in compiled.module.bindings.items())
        if bindings:
            out.append(f"const ShaderBinding bindings_{number}[] = {{{bindings}}};")
        if compiled.module.parameters:
            out.append(f"static_assert(sizeof({compiled.file.struct}) == {compiled.module.parameters[1]});")
        place = (compiled, files[compiled.file.path], number, words[compiled.code])
        if compiled.file.probe:
            probes.append(f"    {shader_code(*place)},")
            continue
        values = {"?": "kAnyDType", "-": "uint8_t(DType::none)"}
        dtypes = ", ".join(values.get(d, f"uint8_t(DType::{d})") for d in compiled.dtypes)
        out.append(f"const uint8_t dtypes_{number}[] = {{{dtypes}}};")
        rows.append(row(*place))
    out.append(array("Shader", "kTable", rows) + "\n\n" + array("ShaderCode", "kProbes", probes) + "\n}  // namespace")
    out.append("std::span<const Shader> shader_table() { return kTable; }\nstd::span<const ShaderCode> shader_probes() { return kProbes; }")
    out.append("}  // namespace tandem::vulkan\n")
    return "\n\n".join(out)


def check_any_device(files):
    """Refuses dtypes of an op that have shaders, but none that takes every size on every device."""
    served = {(file.op, tuple(dtypes)) for file in files if file.subgroups == (0, 0) and not (file.when or file.scratch)
              for dtypes, _ in file.variants}
    for file in files:
        for dtypes, _ in [] if file.probe or file.pass_ else file.variants:
            if (file.op, tuple(dtypes)) not in served:
                raise Failure(f"{file.path}: no shader of op {file.op} takes {' '.join(dtypes)} on any device; one must have no "
                              "'//! when', no '//! scratch', and no subgroups or those of several sizes")


def run(arguments):
    root = arguments.source_root.resolve()
    versions = [subprocess.run([arguments.glslang, "--version"], capture_output=True, text=True, check=True).stdout]
    arguments.versions = versions + [ENVIRONMENT, bool(arguments.validator)]
    arguments.cache.mkdir(parents=True, exist_ok=True)
    files = [form for path in arguments.files for form in ShaderFile(path.resolve(), root).forms()]
    files.sort(key=ShaderFile.order)

    table = root / "core/ops/table.inc"
    ops = re.findall(r"^OP\((\w+)\)", table.read_text(), re.M)
    present = {file.op for file in files if not file.probe}
    if present - set(ops):
        raise Failure(f"shaders of no op in {table}: {', '.join(sorted(present - set(ops)))}")
    missing = [op for op in ops if op not in present]
    if missing and not arguments.allow_missing:
        raise Failure(f"no shader for {', '.join(missing)}: expected shaders/{missing[0]}.comp")

    check_any_device(files)
    compiles = [Compile(file, dtypes, flags, arguments) for file in files for dtypes, flags in file.variants]
    unique = list({c.output: c for c in compiles}.values())
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        list(pool.map(lambda c: c.run(arguments), unique))
    for compiled in compiles:
        compiled.run(arguments)  # from the cache
    for stale in set(arguments.cache.iterdir()) - {c.output for c in unique} - {c.output.with_suffix(".comp") for c in unique}:
        stale.unlink()

    arguments.output.write_text(generate_source(compiles))
    read = {table, *(f.header for f in files if f.header), *(path for c in compiles for path in c.read)}
    read |= {pathlib.Path(__file__).resolve(), pathlib.Path(spirv.__file__).resolve()}
    names = " ".join(str(path).replace(" ", "\\ ") for path in sorted(read))
    arguments.depfile.write_text(f"{arguments.output}: {names}\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source-root", type=pathlib.Path, required=True)
    parser.add_argument("--glslang", default="glslangValidator")
    parser.add_argument("--validator", default=shutil.which("spirv-val"), help="spirv-val; default: the one found, or none")
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--depfile", type=pathlib.Path, required=True)
    parser.add_argument("--allow-missing", action="store_true", help="an op may lack a shader")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("files", type=pathlib.Path, nargs="*")
    arguments = parser.parse_args()
    arguments.cache = arguments.output.parent / "shader_cache"
    try:
        run(arguments)
    except Failure as failure:
        sys.exit(f"shaders.py: {failure}")


if __name__ == "__main__":
    main()
