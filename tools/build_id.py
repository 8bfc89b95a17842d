#!/usr/bin/env python3
"""Writes the header that identifies a build: a hash of all that decides how two binaries lay out what they exchange.

    tools/build_id.py ROOT OUT DEPFILE WORD...

It covers the headers of ROOT/core, those between the CUDA and the NCCL module, and the words: the compiler, its version, and options that change layouts. OUT is
left alone where nothing changed, so that nothing is compiled anew.
"""

import hashlib
import pathlib
import sys


BETWEEN_MODULES = ["backends/cuda/exchange_calls.h", "backends/cuda/communicator.h"]


def build_id(headers, root, words):
    digest = hashlib.sha256()
    for part in [*words, *(text for path in headers for text in (str(path.relative_to(root)), path.read_text()))]:
        digest.update(f"{len(part)} {part}".encode())
    return digest.hexdigest()[:16]


def main(root, out, depfile, *words):
    root, out = pathlib.Path(root), pathlib.Path(out)
    headers = sorted(path for pattern in ("*.h", "*.inc") for path in (root / "core").rglob(pattern))
    headers += [root / name for name in BETWEEN_MODULES if (root / name).exists()]
    text = ("#pragma once\n\nnamespace tandem {\n\n"
            f'constexpr char kBuildId[] = "{build_id(headers, root, words)}";\n\n}}  // namespace tandem\n')
    if not out.exists() or out.read_text() != text:
        out.write_text(text)
    pathlib.Path(depfile).write_text(f"{out}: " + " ".join(str(h).replace(" ", "\\ ") for h in headers) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
