// What verify_ranks finds: each case plants one defect in a program that is right.
#include "core/program/verify_ranks.h"

#include <doctest/doctest.h>

namespace tandem {
namespace {

constexpr uint32_t kRanks = 3;

// Two gathers in place and an exchange of parts, on a queue of their own, with signals as synchronize makes them.
Program exchanging() {
  Program program;
  program.ranks = kRanks;
  program.arenas = {{"device", ArenaKind::device, 4096}};
  const BufferRef whole{0, 0, 768}, own{0, 0, 256, 256}, parts{0, 1024, 768};
  const Collective gather{CollectiveKind::all_gather, {{own, 0}}, {whole}};
  const Collective swap{CollectiveKind::all_to_all, {{{0, 0, 256}, 256}}, {parts}};
  program.ranges[size_t(Range::begin)] = {{Queue::compute, Fill{{0, 2048, 256}}, "zero"},
                                          {Queue::compute, Signal{0}, ""},
                                          {Queue::exchange, Wait{0}, ""},
                                          {Queue::exchange, gather, "weights"},
                                          {Queue::exchange, swap, "gradients"},
                                          {Queue::exchange, Signal{1}, ""},
                                          {Queue::compute, Wait{1}, ""},
                                          {Queue::compute, Fill{{0, 1024, 256}}, "use"}};
  return program;
}

std::vector<Program> by_rank() {
  std::vector<Program> programs;
  for (uint32_t rank = 0; rank < kRanks; ++rank) programs.push_back(for_rank(exchanging(), rank));
  return programs;
}

std::string found(const std::vector<Program>& programs) {
  try {
    verify_ranks(programs);
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

std::vector<Instruction>& code(Program& program) {
  return program.ranges[size_t(Range::begin)];
}

TEST_CASE("a program that is right for all ranks passes") {
  verify_ranks(exchanging());
  CHECK(found(by_rank()) == "");
}

TEST_CASE("exchanges in another order on one rank are found") {
  std::vector<Program> programs = by_rank();
  std::swap(code(programs[1])[3], code(programs[1])[4]);
  CHECK(found(programs).find("rank 1 runs all_to_all of gradients") != std::string::npos);
}

TEST_CASE("an exchange that one rank leaves out is found") {
  std::vector<Program> programs = by_rank();
  code(programs[2]).erase(code(programs[2]).begin() + 4);
  CHECK(found(programs).find("rank 2 runs nothing more") != std::string::npos);
}

TEST_CASE("parts of other sizes on one rank are found") {
  std::vector<Program> programs = by_rank();
  std::get<Collective>(code(programs[1])[3].command).from[0].buffer.bytes = 128;
  CHECK(found(programs).find("rank 1") != std::string::npos);
}

TEST_CASE("a gather from another rank's part is found") {
  std::vector<Program> programs = by_rank();
  std::get<Collective>(code(programs[2])[3].command).from[0].buffer.offset = 0;
  CHECK(found(programs).find("its own part begins at 512") != std::string::npos);
}

TEST_CASE("a rank that waits for a signal behind the exchange is found") {
  std::vector<Program> programs = by_rank();
  auto& list = code(programs[1]);
  std::swap(list[1], list[6]);  // the signal comes behind the wait for what it lets begin
  CHECK(found(programs).find("rank 1 at a signal, for good") != std::string::npos);
}

}  // namespace
}  // namespace tandem
