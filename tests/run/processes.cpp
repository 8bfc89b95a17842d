// Ranks that are processes of this machine: they meet by every launcher's variables and get the same bytes as threads.
// Then what goes wrong at the rendezvous, and after it.
#include <doctest/doctest.h>
#include <signal.h>

#include <thread>

#include "core/runtime/rendezvous.h"
#include "tests/support/rank_processes.h"
#include "tests/support/rank_rounds.h"
#include "tests/support/rank_threads.h"

namespace tandem {
namespace {

using namespace test;
using std::chrono::milliseconds;

// What rank r of a launcher's run finds in its environment.
using Row = std::function<Variables(uint32_t rank, uint32_t ranks, uint16_t port)>;

// The rows of docs/distributed.md.
const std::pair<const char*, Row> kRows[] = {
    {"by hand", [](uint32_t r, uint32_t n, uint16_t port) { return by_hand(r, n, port); }},
    {"torchrun",
     [](uint32_t r, uint32_t n, uint16_t port) {
       return Variables{{"RANK", std::to_string(r)},
                        {"WORLD_SIZE", std::to_string(n)},
                        {"LOCAL_RANK", std::to_string(r)},
                        {"LOCAL_WORLD_SIZE", std::to_string(n)},
                        {"MASTER_ADDR", "127.0.0.1"},
                        {"MASTER_PORT", std::to_string(port - 1)},
                        {"TORCHELASTIC_USE_AGENT_STORE", "True"}};
     }},
    {"Open MPI",
     [](uint32_t r, uint32_t n, uint16_t port) {
       return Variables{{"OMPI_COMM_WORLD_RANK", std::to_string(r)},
                        {"OMPI_COMM_WORLD_SIZE", std::to_string(n)},
                        {"OMPI_COMM_WORLD_LOCAL_RANK", std::to_string(r)},
                        {"TANDEM_RENDEZVOUS", fmt::format("localhost:{}", port)}};
     }},
    {"Hydra",
     [](uint32_t r, uint32_t n, uint16_t port) {
       return Variables{{"PMI_RANK", std::to_string(r)},
                        {"PMI_SIZE", std::to_string(n)},
                        {"MPI_LOCALRANKID", std::to_string(r)},
                        {"TANDEM_RENDEZVOUS", fmt::format("127.0.0.1:{}", port)}};
     }},
    {"srun",
     [](uint32_t r, uint32_t n, uint16_t port) {
       return Variables{{"SLURM_PROCID", std::to_string(r)},
                        {"SLURM_STEP_NUM_TASKS", std::to_string(n)},
                        {"SLURM_STEP_NODELIST", "localhost"},
                        {"MASTER_PORT", std::to_string(port)}};
     }},
    {"by file",
     [](uint32_t r, uint32_t n, uint16_t) {
       return Variables{{"TANDEM_RANK", std::to_string(r)}, {"TANDEM_WORLD_SIZE", std::to_string(n)}};
     }},
};

// What each rank prints where all goes well.
std::vector<std::string> printed_by_threads(uint32_t ranks) {
  std::vector<std::string> lines(ranks);
  run_ranks(local_worlds(ranks), [&](World& world) {
    const Seat& s = world.seat();
    lines[s.rank] = fmt::format("seat {} {} {} {} {} {}\nrounds {}\n", s.rank, s.ranks, s.local_rank, s.local_ranks,
                                s.host, s.hosts, hash_of_rounds(world));
  });
  return lines;
}

std::vector<RankProcess> start_all(const TemporaryDirectory& directory, const RankCall& call, const Row& row) {
  const uint16_t port = free_port();
  std::vector<RankProcess> processes;
  for (uint32_t r = 0; r < call.devices; ++r) processes.emplace_back(directory, call, row(r, call.devices, port));
  return processes;
}

void check_well(const std::vector<Ended>& ended) {
  const std::vector<std::string> expected = printed_by_threads(uint32_t(ended.size()));
  for (size_t r = 0; r < ended.size(); ++r) {
    CAPTURE(ended[r].err);
    CHECK(ended[r].exit == 0);
    CHECK(ended[r].out == expected[r]);
  }
}

TEST_CASE("processes: 2 and 4 of them get the bytes of threads, by each launcher's variables") {
  for (const auto& row : kRows)
    for (const uint32_t ranks : {2, 4}) {
      CAPTURE(row.first);
      CAPTURE(ranks);
      const TemporaryDirectory directory;
      auto processes = start_all(directory, {.devices = ranks}, row.second);
      const std::vector<Ended> ended = wait_for_all(processes);
      check_well(ended);
      for (const Ended& e : ended) CHECK(e.err == "");
      CHECK_FALSE(file_exists(directory / "run.rendezvous"));
    }
}

TEST_CASE("processes: a rendezvous file of an ended run is read again") {
  const TemporaryDirectory directory;
  write_meeting(directory / "run.rendezvous", {"127.0.0.1", free_port(), "0123456789abcdef0123456789abcdef"});
  std::vector<RankProcess> processes;
  for (const uint32_t r : {1, 0}) {
    processes.emplace_back(directory, RankCall{}, kRows[5].second(r, 2, 0));
    std::this_thread::sleep_for(milliseconds(300));
  }
  std::vector<Ended> ended = wait_for_all(processes);
  std::swap(ended[0], ended[1]);
  check_well(ended);
}

// The lines of a text that hold a word.
size_t lines_with(const std::string& text, const std::string& word) {
  size_t count = 0;
  for (size_t at = text.find(word); at != text.npos; at = text.find(word, at + 1)) ++count;
  return count;
}

Socket connect_when_there(uint16_t port) {
  std::string why;
  const Address address = resolve("127.0.0.1", port, why).at(0);
  for (int i = 0; i < 600; ++i, std::this_thread::sleep_for(milliseconds(50)))
    if (auto socket = connect_to(address, Clock::now() + std::chrono::seconds(5), why)) return std::move(*socket);
  FAIL("rank 0 does not listen: ", why);
  return {};
}

TEST_CASE("processes: strangers are dropped with one warning, and nobody can come later") {
  const TemporaryDirectory directory;
  const uint16_t port = free_port();
  std::vector<RankProcess> processes;
  processes.emplace_back(directory, RankCall{}, by_hand(0, 2, port));
  const Socket silent = connect_when_there(port), brief = connect_when_there(port);
  const std::string garbage(100000, 'x');
  for (int i = 0; i < 5; ++i) {
    const Socket loud = connect_when_there(port);
    const auto give_up = [] { FAIL("rank 0 does not read"); };
    send_all(loud, std::as_bytes(std::span(garbage)).first(i == 0 ? 50 : 1000 * i), give_up);
    std::byte answer{};
    if (i > 0) CHECK_FALSE(receive_all(loud, {&answer, 1}, [] {}));
  }
  processes.emplace_back(directory, RankCall{}, by_hand(1, 2, port));
  const std::vector<Ended> ended = wait_for_all(processes);
  check_well(ended);
  CHECK(lines_with(ended[0].err, "warning: [rank 0] dropped a connection from 127.0.0.1:") == 1);
}

// ---- what goes wrong at the rendezvous

void check_ended(const Ended& ended, Exit exit, std::initializer_list<std::string_view> words) {
  CAPTURE(ended.err);
  CHECK(ended.exit == int(exit));
  for (const std::string_view word : words) {
    CAPTURE(std::string(word));
    CHECK(ended.says(word));
  }
}

constexpr milliseconds kShort{2500};

TEST_CASE("processes: missing ranks are named by all that came") {
  const TemporaryDirectory directory;
  const uint16_t port = free_port();
  std::vector<RankProcess> processes;
  for (const uint32_t r : {0, 2})
    processes.emplace_back(directory, RankCall{.devices = 4, .patience = kShort}, by_hand(r, 4, port));
  const std::vector<Ended> ended = wait_for_all(processes);
  check_ended(ended[0], Exit::device, {"[rank 0] ranks 1, 3 of 4 did not come within 2.5 s"});
  check_ended(ended[1], Exit::device, {"[rank 2] ", "ranks 1, 3 of 4 did not come within 2.5 s"});
}

TEST_CASE("processes: without rank 0 a peer says where it looked") {
  const TemporaryDirectory directory;
  const uint16_t port = free_port();
  std::vector<RankProcess> processes;
  processes.emplace_back(directory, RankCall{.patience = kShort}, by_hand(1, 2, port));
  processes.emplace_back(directory, RankCall{.patience = kShort}, kRows[5].second(1, 2, 0));
  const std::vector<Ended> ended = wait_for_all(processes);
  check_ended(ended[0], Exit::device, {"[rank 1] rank 0 was not found", fmt::format("127.0.0.1:{}", port), "refused"});
  check_ended(ended[1], Exit::device, {"[rank 1] rank 0 was not found", "run.rendezvous is not there"});
}

TEST_CASE("processes: a port in use is named") {
  const TemporaryDirectory directory;
  std::string why;
  const Listening taken = listen_at(resolve("127.0.0.1", 0, why).at(0));
  std::vector<RankProcess> processes;
  processes.emplace_back(directory, RankCall{}, by_hand(0, 2, port_of(taken.socket)));
  check_ended(wait_for_all(processes)[0], Exit::device,
              {"[rank 0] ", fmt::format("port {} of 127.0.0.1 is in use", port_of(taken.socket))});
}

// Rank 0 of 2, and a process that it refuses.
std::vector<Ended> refused(const RankCall& other, const Variables& changes) {
  const TemporaryDirectory directory;
  const uint16_t port = free_port();
  std::vector<RankProcess> processes;
  processes.emplace_back(directory, RankCall{.patience = kShort}, by_hand(0, 2, port));
  Variables variables = by_hand(1, 2, port);
  for (const auto& [name, value] : changes) variables[name] = value;
  processes.emplace_back(directory, other, variables);
  return wait_for_all(processes);
}

TEST_CASE("processes: another configuration, secret or number of ranks ends both with 2") {
  const char* nonce = "came with another configuration, build or TANDEM_SECRET";
  const std::vector<Ended> run = refused({.identity = "another run", .patience = kShort}, {});
  const std::vector<Ended> secret = refused({.patience = kShort}, {{"TANDEM_SECRET", "s"}});
  for (const std::vector<Ended>* ended : {&run, &secret}) {
    check_ended((*ended)[0], Exit::configuration, {"[rank 0] rank 1 of 2 did not come", nonce});
    check_ended((*ended)[1], Exit::configuration, {"[rank 1] rank 0 at 127.0.0.1", nonce});
  }
  const std::vector<Ended> size = refused({.devices = 3, .patience = kShort}, {{"TANDEM_WORLD_SIZE", "3"}});
  for (const Ended& e : size) check_ended(e, Exit::configuration, {"rank 1 counts 3 ranks, rank 0 counts 2"});
}

TEST_CASE("processes: two of one rank: one is refused, and the others say who is missing") {
  const TemporaryDirectory directory;
  const uint16_t port = free_port();
  std::vector<RankProcess> processes;
  for (const uint32_t r : {0, 1, 1})
    processes.emplace_back(directory, RankCall{.devices = 3, .patience = milliseconds(4000)}, by_hand(r, 3, port));
  const char* twice = "two processes say that they are rank 1";
  for (const Ended& e : wait_for_all(processes)) check_ended(e, Exit::configuration, {twice});
}

// ---- what goes wrong later

// Rank `rank` of 4 does `what` when all have met; the others end with 6 within 10 s and say why.
void check_fault(const std::string& what, uint32_t rank, int exit, const std::string& text) {
  CAPTURE(what);
  CAPTURE(rank);
  const TemporaryDirectory directory;
  auto processes = start_all(directory, {.devices = 4, .what = what, .rank = rank}, kRows[0].second);
  const std::vector<Ended> ended = wait_for_all(processes);
  CHECK(ended[rank].exit == exit);
  for (uint32_t r = 0; r < 4; ++r) {
    if (r == rank) continue;
    check_ended(ended[r], Exit::device, {fmt::format("[rank {}] ", r), fmt::format("rank {} {}", rank, text)});
    CHECK(ended[r].when - ended[rank].when < std::chrono::seconds(10));
  }
}

TEST_CASE("processes: a killed rank is named by all others") {
  for (const uint32_t rank : {0, 1, 2}) check_fault("kill", rank, 128 + SIGKILL, "is gone: its connection closed");
}

TEST_CASE("processes: a rank that throws tells the others why") {
  for (const uint32_t rank : {0, 3}) check_fault("throw", rank, int(Exit::input), "failed: [data] a bad token");
  for (const uint32_t rank : {0, 3}) check_fault("unwind", rank, int(Exit::internal), "failed");
}

TEST_CASE("processes: a rank that is stopped is named within 10 s") {
  for (const uint32_t rank : {0, 2}) check_fault("stop", rank, kStopped, "is gone: nothing was heard of it for 8 s");
}

TEST_CASE("processes: ranks that part are both named, on all ranks") {
  const TemporaryDirectory directory;
  auto processes = start_all(directory, {.devices = 4, .what = "part", .rank = 3}, kRows[0].second);
  const std::vector<Ended> ended = wait_for_all(processes);
  for (const Ended& e : ended)
    check_ended(e, Exit::device, {"rank 0 is at barrier 'the end', rank 3 at agree 'something else' of 4 bytes"});
}

TEST_CASE("processes: mpirun starts ranks that meet, on mpirun") {
  const TemporaryDirectory directory;
  std::vector<std::string> command = {"/usr/bin/env", "mpirun", "--allow-run-as-root", "--oversubscribe", "-n", "4"};
  for (const std::string& argument : RankCall{.devices = 4}.arguments(directory)) command.push_back(argument);
  std::vector<RankProcess> processes;
  processes.emplace_back(directory, command, Variables{});
  const Ended ended = wait_for_all(processes)[0];
  CAPTURE(ended.err);
  CHECK(ended.exit == 0);
  for (const std::string& lines : printed_by_threads(4))
    for (size_t at = 0, end; (end = lines.find('\n', at)) != lines.npos; at = end + 1)
      CHECK(lines_with(ended.out, lines.substr(at, end + 1 - at)) == 1);
  CHECK_FALSE(file_exists(directory / "run.rendezvous"));
}

}  // namespace
}  // namespace tandem
