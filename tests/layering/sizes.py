#!/usr/bin/env python3
"""How large the parts may grow: members of a class, lines of a function."""

import os
import pathlib
import re
import unittest

ROOT = pathlib.Path(os.environ.get("TANDEM_SOURCE_ROOT", pathlib.Path(__file__).resolve().parents[2]))
CLASSES_IN = [f"core/{folder}" for folder in ("base", "data", "graph", "infer", "model", "ops", "optimizer", "passes",
                                              "plan", "program", "rates", "report", "run", "runtime", "step")]
FUNCTIONS_IN = ["core/plan", "core/run", "core/step"]
MOST_MEMBERS = 10
MOST_LINES = 60
# What has more: lists of fields, and what each is a list of.
RECORDS = {
    "BpeTokenizerParts": "the fields of a tokenizer.json",
    "Bucket": "a column per figure of a plot",
    "Manifest": "the fields of manifest.json",
    "MemoryPolicy": "the knobs of the planner",
    "ModelConfig": "the fields of a config.json",
    "OptimizerOptions": "a section of the configuration",
    "PlanFile": "the fields of plan.json",
    "Rates": "the rates of a device table",
    "RunConfig": "the sections of the configuration",
    "StepMetrics": "the fields of a line of metrics.jsonl",
    "Target": "the fields of a device table",
    "Value": "a row of the graph's table of values",
}
CLASS = re.compile(r"(?<!enum )\b(?:struct|class)\s+(?:alignas\(\w*\)\s*|\[\[\w*\]\]\s*)?(\w+)(?:\s+final)?\s*"
                   r"(?::[^;{}()=]*)?\{")
TYPE = re.compile(r"(?:struct|class|union|enum)\b[^{]*(?:\{\})?")
NO_MEMBER = re.compile(r"(?:using|friend|static|typedef|template)\b|.*\boperator\b", re.S)
ACCESS = re.compile(r"\b(?:public|protected|private)\s*:")
BRACKET = re.compile(r"[(){}\[\]]")
MARK, MORE = re.compile(r"[;{}#]"), re.compile(r"\s*[,{]")
OUTSIDE = re.compile(r"\s*(?:inline\s+)?namespace\b|\s*extern\b")


def plain(code):
    """The code without comments and the insides of texts; each line keeps its number."""
    pattern = r'//[^\n]*|/\*.*?\*/|\bR"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\])*"|(?<!\w)\'(?:\\.|[^\'\\])+\''
    kept = {"/": "", "'": "''"}
    return re.sub(pattern, lambda m: kept.get(m[0][0], '""') + "\n" * m[0].count("\n"), code, flags=re.S)


def closing(code, start):
    """Where the bracket that opens at start closes."""
    depth = 0
    for bracket in BRACKET.finditer(code, start):
        depth += 1 if bracket[0] in "({[" else -1
        if depth == 0:
            return bracket.start()
    return len(code) - 1


def without_insides(code):
    """The code without what stands in brackets of any kind."""
    out, at = "", 0
    while bracket := BRACKET.search(code, at):
        end = closing(code, bracket.start())
        out += code[at:bracket.end()] + code[end]
        at = end + 1
    out, before = out + code[at:], ""
    while before != out:
        before, out = out, re.sub(r"<[^<>;=]*>", "", out)
    return out


def members(body):
    """How many data members the body of a class declares."""
    code = ACCESS.sub("", without_insides(body))
    code = re.sub(r"(\)[^;={}]*)\{\}(?!\s*[,;])", r"\1;", code)  # a function's body ends what else a semicolon ends
    count = 0
    for statement in map(str.strip, code.split(";")):
        declared = re.sub(r"=.*?(?=,|$)|\{\}", "", TYPE.sub("", statement), flags=re.S).strip()
        if declared and "(" not in declared and not NO_MEMBER.match(statement):
            count += 1 + declared.count(",")
    return count


def classes(code):
    """(name, members) of each class in the code."""
    code = plain(code)
    for found in CLASS.finditer(code):
        brace = found.end() - 1
        yield found[1], members(code[brace + 1:closing(code, brace)])


def functions(code):
    """(head, lines) of each function that the code defines, those of classes too."""
    code = plain(code)
    at = head = 0
    while mark := MARK.search(code, at):
        at = mark.start()
        if mark[0] in ";}":
            head = at + 1
        elif mark[0] == "#":
            at = head = code.find("\n", at)
        else:
            text = ACCESS.sub("", code[head:at]).lstrip()
            if OUTSIDE.match(text) or CLASS.search(text + "{"):
                head = at + 1
            else:
                end = closing(code, at)
                while "(" in text and MORE.match(code, end + 1):  # {} of what a constructor begins with
                    end = closing(code, code.index("{", end + 1))
                if "(" in text and not text.endswith("= "):
                    yield " ".join(text.split()), text.count("\n") + code.count("\n", at, end) + 1
                at, head = end, end + 1
        at += 1


def sources(folders):
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in {".h", ".cpp"}:
                yield str(path.relative_to(ROOT)), path.read_text()


# A class of 10 members, and what looks like one and is none.
PLANTED = """
// struct Commented { int a, b, c, d, e, f, g, h, i, j, k; };
enum class Word { a, b, c, d, e, f, g, h, i, j, k };
class [[nodiscard]] Whole final : public Part<int, bool> {
 public:
  explicit Whole(int x, int y = 0) : x_{x}, y_(y) { int local = 0, more = 1; use(local, more); }
  Whole& operator=(const Whole&) = default;
  int x() const { return x_; }
  std::map<int, std::string> table(std::span<const int> of) const;
  static constexpr int kNone = 0, kOne = 1;
  using Row = std::array<int, 3>;
  struct Inner {
    int a, b;
  };
  enum class Kind { a, b };

 private:
  int x_, y_ = f(1, 2);
  std::map<int, std::pair<int, int>> pairs_;  // one, two; three
  std::function<void(int, int)> call_ = [](int a, int b) { use(a, b); };
  std::string text_ = "a; b, c";
  char word_[4] = {1, 2};
  const int& read_;
  Series History::*series_ = nullptr;
  struct {
    int a, b;
  } pair_;
  Kind kind_{};
};
"""


def planted_function(lines):
    inside = "  while (f({1, 2})) g();  // }\n" * (lines - 2)
    return "struct S {\n  S() : a{1}, b(2) {}\n  int a, b;\n};\n\nint long_one(int x) {\n" + inside + "}\n"


class Sizes(unittest.TestCase):
    def test_classes_have_few_members(self):
        counted = [(path, name, count) for path, code in sources(CLASSES_IN) for name, count in classes(code)]
        self.assertGreater(len(counted), 200)
        large = [found for found in counted if found[2] > MOST_MEMBERS]
        self.assertEqual([found for found in large if found[1] not in RECORDS], [])
        self.assertEqual(sorted(RECORDS), sorted(name for _, name, _ in large), "a small class needs no exception")

    def test_functions_are_short(self):
        counted = [(path, head, lines) for path, code in sources(FUNCTIONS_IN) for head, lines in functions(code)]
        self.assertGreater(len(counted), 200)
        self.assertEqual([found for found in counted if found[2] > MOST_LINES], [])

    def test_members_of_a_planted_class_are_counted(self):
        self.assertEqual(list(classes(PLANTED)), [("Whole", MOST_MEMBERS), ("Inner", 2)])
        one_more = PLANTED.replace("int x_,", "int x_, z_,")
        self.assertEqual(list(classes(one_more)), [("Whole", MOST_MEMBERS + 1), ("Inner", 2)])

    def test_lines_of_a_planted_function_are_counted(self):
        for lines in (MOST_LINES, MOST_LINES + 1):
            self.assertEqual(list(functions(planted_function(lines))), [("S() : a", 1), ("int long_one(int x)", lines)])


if __name__ == "__main__":
    unittest.main()
