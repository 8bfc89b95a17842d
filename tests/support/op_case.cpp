#include "tests/support/op_case.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include "core/base/hash.h"
#include "tests/support/cuda_host/executor.h"
#include "tests/support/full.h"

namespace tandem::test {
namespace {

constexpr std::byte kPoison{0xff};  // NaN in every float format

using Image = std::vector<std::byte>;  // the contents of the operands' arena

struct Prepared {
  Program program;
  Image before;
  Dispatch dispatch;
  Descs descs;  // its operands'

  const std::vector<Operand>& operands() const { return dispatch.operands; }
  Tensor view(Image& image, size_t operand) const {
    const Operand& o = operands()[operand];
    return o.desc.dtype == DType::none ? Tensor() : Tensor(o.desc, image.data() + o.buffer.offset);
  }
};

// operands in the order of a Dispatch, one after another with a poisoned guard behind each; the guard belongs to the
// operand's buffer, so that a device's own range checks do not hide accesses past the operand's end
Prepared prepare(OpId op, const Case& c, const Target& target) {
  const uint64_t alignment = std::max<uint64_t>(256, target.alignment);
  Descs descs;
  for (const Input& i : c.inputs) descs.push_back(i.desc);
  Dispatch dispatch{op, c.parameters, {}};
  const Signature signature = op_of(op).infer(descs, dispatch.parameters);
  const size_t read_only = c.inputs.size() - signature.in_place;
  std::vector<size_t> input_operand;  // where input i stands
  for (size_t i = 0; i < read_only; ++i) dispatch.operands.push_back({descs[i], {}, Access::read});
  for (size_t i = 0; i < signature.outputs.size(); ++i) {
    const bool in_place = i >= signature.first_output && i < signature.first_output + signature.in_place;
    dispatch.operands.push_back({signature.outputs[i], {}, in_place ? Access::read_write : Access::write});
  }
  for (size_t i = 0; i < c.inputs.size(); ++i) input_operand.push_back(i < read_only ? i : i + signature.first_output);

  Prepared p;
  uint64_t bytes = 0;
  for (Operand& o : dispatch.operands) {
    o.buffer = {0, bytes, (o.desc.bytes() + 2 * alignment - 1) / alignment * alignment};
    bytes += o.buffer.bytes;
  }
  p.descs = descs_of(dispatch);
  p.program.arenas = {{"operands", ArenaKind::device, std::max<uint64_t>(bytes, alignment)}};
  if (const uint64_t workspace = target.workspace(op, dispatch.parameters, p.descs); workspace > 0) {
    p.program.arenas.push_back({"workspace", ArenaKind::device, workspace});
    dispatch.workspace = {1, 0, workspace};
  }
  p.dispatch = dispatch;
  p.program.ranges[size_t(Range::evaluate)].push_back({Queue::compute, dispatch, c.name});
  p.before.assign(p.program.arenas[0].bytes, kPoison);
  Random random(c.name);
  std::vector<Tensor> inputs;
  for (size_t i = 0; i < c.inputs.size(); ++i) {
    inputs.push_back(p.view(p.before, input_operand[i]));
    if (inputs[i].present() && c.inputs[i].fill) c.inputs[i].fill(inputs[i], random);
  }
  if (c.prepare) c.prepare(inputs);
  return p;
}

Image run(Backend& backend, const Prepared& p) {
  std::vector<std::unique_ptr<Memory>> owned;
  std::vector<Memory*> memories;
  for (const Arena& arena : p.program.arenas) memories.push_back(owned.emplace_back(backend.allocate(arena)).get());
  const std::unique_ptr<Executable> executable = backend.load(p.program, memories);
  backend.write(*memories[0], 0, p.before);
  executable->wait(executable->submit(Range::evaluate));
  Image after(p.before.size());
  backend.read(*memories[0], 0, after);
  return after;
}

bool written(const Prepared& p, uint64_t byte) {
  return std::any_of(p.operands().begin(), p.operands().end(), [byte](const Operand& o) {
    return o.access != Access::read && byte >= o.buffer.offset && byte < o.buffer.offset + o.desc.bytes();
  });
}

void check_bystanders(const Prepared& p, const Image& after) {
  for (uint64_t i = 0; i < after.size(); ++i)
    if (after[i] != p.before[i] && !written(p, i)) {
      FAIL_CHECK("byte " << i << " lies outside of what the op writes and has changed");
      return;
    }
}

Defined defined_of(const Prepared& p, size_t operand) {
  return op_of(p.dispatch.op).defined(p.dispatch.parameters, p.descs, operand);
}

// A defined element that holds the poison was not written, unless the reference holds the same bits.
void check_all_written(const Prepared& p, Image& after, Image& reference) {
  for (size_t i = 0; i < p.operands().size(); ++i) {
    if (p.operands()[i].access != Access::write || p.operands()[i].desc.dtype == DType::none) continue;
    const Tensor t = p.view(after, i), wanted = p.view(reference, i);
    const Defined defined = defined_of(p, i);
    uint64_t left = 0;
    const uint32_t poison = size_of(t.dtype()) == 4 ? 0xffffffffu : (size_of(t.dtype()) == 2 ? 0xffffu : 0x100u);
    for (uint64_t e = 0; e < t.size(); ++e) left += defined(e) && t.bits(e) == poison && wanted.bits(e) != poison;
    CHECK_MESSAGE(left == 0, "operand " << i << ": " << left << " elements are not written");
  }
}

// The matrix of floats that the op writes last before amax words: what they are taken of. None where it writes codes.
std::optional<size_t> amax_source(const Prepared& p, size_t amax) {
  for (size_t i = amax; i-- > 0;) {
    const Operand& o = p.operands()[i];
    const bool floats = o.desc.dtype == DType::f32 || o.desc.dtype == DType::bf16;
    if (o.access == Access::write && floats && o.desc.shape.rank() == 2) return i;
  }
  return {};
}

// By the op's budget; but amax words are exact for the values that the same executor wrote.
void compare(const Prepared& p, Image& candidate, Image& reference) {
  for (size_t i = 0; i < p.operands().size(); ++i) {
    if (p.operands()[i].access == Access::read || p.operands()[i].desc.dtype == DType::none) continue;
    const Tensor a = p.view(candidate, i);
    Tensor b = p.view(reference, i);
    Budget budget = op_of(p.dispatch.op).budget(p.dispatch.parameters, p.descs, i);
    if (const auto source = amax_source(p, i); source && budget == Budget::amax) {
      Image before = p.before;
      const Tensor initial = p.view(before, i);
      for (uint64_t e = 0; e < b.size(); ++e) b.set_bits(e, initial.bits(e));
      update_amax(p.view(candidate, *source), b);
      budget = Budget::exact;
    }
    const std::string wrong = tandem::compare(b.desc(), a.bytes(), b.bytes(), budget, defined_of(p, i)).wrong;
    CHECK_MESSAGE(wrong.empty(), "operand " << i << ": " << wrong);
  }
}

// again, on cuda_host with the threads in other orders; an order of the environment's is the only one, but in full runs
bool same_again(Backend& backend, const Prepared& p, const Image& first) {
  if (backend.target().name != "cuda_host") return run(backend, p) == first;
  if (std::getenv("TANDEM_CUDA_HOST_ORDER") != nullptr && !is_full()) return true;
  bool same = true;
  for (const cuda_host::Order order : {cuda_host::Order::reversed, cuda_host::Order::shuffled}) {
    cuda_host::set_order(order);
    same = same && run(backend, p) == first;
  }
  cuda_host::set_order(cuda_host::order_from_environment());
  return same;
}

// what an op wrote, and what it left alone, for a comparison with another machine's; all NaNs are one
void write_hash(std::string_view executor, OpId op, const Case& c, const Prepared& p, Image after) {
  const char* path = std::getenv("TANDEM_CASE_HASHES");
  if (path == nullptr) return;
  for (size_t i = 0; i < p.operands().size(); ++i) {
    Tensor t = p.view(after, i);
    for (uint64_t e = 0; t.present() && e < t.size(); ++e) {
      if (t.dtype() == DType::bf16 && t.is_nan(e)) t.set_bits(e, 0x7fc0u);
      if (size_of(t.dtype()) == 4 && std::isnan(t.word_as_float(e))) t.set_bits(e, 0x7fc00000u);
    }
  }
  std::FILE* file = std::fopen(path, "a");
  REQUIRE(file != nullptr);
  fmt::print(file, "{} {} {} {}\n", executor, name_of(op), xxh3(after), c.name);
  CHECK(std::fclose(file) == 0);
}

}  // namespace

Input in(DType dtype, Shape shape, Filler fill) {
  return {{dtype, std::move(shape)}, std::move(fill)};
}

std::vector<Buffer> run_case(OpId op, const Case& c, Backend& backend) {
  const Prepared p = prepare(op, c, backend.target());
  Image after = run(backend, p);
  std::vector<Buffer> operands;
  for (size_t i = 0; i < p.operands().size(); ++i)
    operands.push_back(p.operands()[i].desc.dtype == DType::none ? Buffer{} : copy_of(p.view(after, i)));
  return operands;
}

void run_cases(OpId op, void (*cases)(Cases&), std::string_view executor) {
  Cases table;
  cases(table);
  REQUIRE(!table.list().empty());
  Backend& candidate = ::tandem::test::executor(executor);
  Backend& host = ::tandem::test::executor("host");
  for (const Case& c : table.list()) {
    CAPTURE(c.name);
    const Prepared p = prepare(op, c, candidate.target());
    Image reference = run(host, p), first = run(candidate, p);
    write_hash(executor, op, c, p, first);
    CHECK_MESSAGE(same_again(candidate, p, first), "two runs differ");
    check_bystanders(p, first);
    check_all_written(p, first, reference);
    compare(p, first, reference);
  }
}

}  // namespace tandem::test
