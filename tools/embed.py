#!/usr/bin/env python3
"""Writes a C++ file that defines a string per text file: core/report/page.css becomes kPageCss.

usage: tools/embed.py OUTPUT HEADER NAMESPACE FILE...
"""
import pathlib
import sys

PIECE = 8000  # characters of a literal; some compilers take no more than 16380


def name_of(path):
    return "k" + "".join(part.capitalize() for part in path.name.replace(".", "_").split("_"))


def literal(text):
    pieces = [text[at:at + PIECE] for at in range(0, len(text), PIECE)]
    return "\n".join(f'R"text({piece})text"' for piece in pieces) or '""'


def main():
    output, header, namespace, *files = sys.argv[1:]
    parts = [f'#include "{header}"\n\nnamespace {namespace} {{\n']
    for file in map(pathlib.Path, files):
        text = file.read_text(encoding="utf-8")
        if ')text"' in text:
            sys.exit(f"{file}: has the end of a literal in it")
        parts.append(f"const std::string_view {name_of(file)} = {literal(text)};\n")
    parts.append(f"}}  // namespace {namespace}\n")
    pathlib.Path(output).write_text("\n".join(parts), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
