// The launch variables of every launcher, as each documents them, and the errors of half a set.
#include "core/run/launch.h"

#include <doctest/doctest.h>

#include <map>

#include "tests/support/temporary.h"

namespace tandem {
namespace {

using Variables = std::map<std::string, std::string>;

std::optional<Launch> read(const Variables& variables, uint32_t devices = 4) {
  return read_launch(devices, "runs/a", "identity", [&](const char* name) -> const char* {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  });
}

Variables with(Variables some, const Variables& others) {
  for (const auto& [name, value] : others) some[name] = value;
  return some;
}

const Variables kByHand = {{"TANDEM_RANK", "2"}, {"TANDEM_WORLD_SIZE", "4"}, {"TANDEM_LOCAL_RANK", "0"}};
const Variables kTorchrun = {{"RANK", "3"},
                             {"WORLD_SIZE", "4"},
                             {"LOCAL_RANK", "1"},
                             {"LOCAL_WORLD_SIZE", "2"},
                             {"MASTER_ADDR", "node01"},
                             {"MASTER_PORT", "29500"},
                             {"TORCHELASTIC_USE_AGENT_STORE", "True"},
                             {"TORCHELASTIC_RESTART_COUNT", "0"}};
const Variables kOpenMpi = {{"OMPI_COMM_WORLD_RANK", "1"},
                            {"OMPI_COMM_WORLD_SIZE", "4"},
                            {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
                            {"OMPI_COMM_WORLD_LOCAL_SIZE", "4"}};
const Variables kHydra = {{"PMI_RANK", "1"}, {"PMI_SIZE", "4"}, {"MPI_LOCALRANKID", "0"}, {"MPI_LOCALNRANKS", "2"}};
const Variables kCray = {{"PMI_RANK", "1"}, {"PMI_SIZE", "4"}, {"PMI_LOCAL_RANK", "1"}};
const Variables kSrun = {{"SLURM_PROCID", "2"},
                         {"SLURM_STEP_NUM_TASKS", "4"},
                         {"SLURM_LOCALID", "0"},
                         {"SLURM_STEP_NODELIST", "gpu[07-08]"},
                         {"SLURM_JOB_ID", "1234567"}};

void check_launch(const Variables& variables, uint32_t rank, std::optional<uint32_t> local,
                  std::optional<uint32_t> local_ranks) {
  const std::optional<Launch> launch = read(variables);
  REQUIRE(launch);
  CHECK(launch->rank == rank);
  CHECK(launch->ranks == 4);
  CHECK(launch->local_rank == local);
  CHECK(launch->local_ranks == local_ranks);
}

TEST_CASE("launch: each launcher's rank, size and place on its host") {
  check_launch(kByHand, 2, 0, {});
  check_launch({{"TANDEM_RANK", "2"}, {"TANDEM_WORLD_SIZE", "4"}}, 2, {}, {});
  check_launch(kTorchrun, 3, 1, 2);
  check_launch(kOpenMpi, 1, 1, 4);
  check_launch(kHydra, 1, 0, 2);
  check_launch(kCray, 1, 1, {});
  check_launch(kSrun, 2, 0, {});
  CHECK_FALSE(read({}));
  CHECK_FALSE(read({{"RANK", ""}, {"WORLD_SIZE", ""}}));
}

TEST_CASE("launch: the first row that is set counts") {
  check_launch(with(kByHand, kTorchrun), 2, 0, {});
  check_launch(with(kOpenMpi, kTorchrun), 3, 1, 2);
  check_launch(with(kSrun, kOpenMpi), 1, 1, 4);
  check_launch(with(kSrun, kHydra), 1, 0, 2);
}

void check_address(const Variables& variables, const std::string& host, uint16_t port) {
  const std::optional<Launch> launch = read(variables);
  REQUIRE(launch);
  CHECK(launch->host == host);
  CHECK(launch->port == port);
  CHECK(launch->file == (host.empty() ? "runs/a.rendezvous" : ""));
}

TEST_CASE("launch: where the ranks meet, in the order of the contract") {
  check_address(kByHand, "", 0);
  check_address(kOpenMpi, "", 0);
  check_address(kTorchrun, "node01", 29501);
  check_address(with(kTorchrun, {{"TORCHELASTIC_USE_AGENT_STORE", "False"}}), "node01", 29500);
  check_address(kSrun, "gpu07", 20000 + 4567);
  check_address(with(kSrun, {{"MASTER_PORT", "3000"}}), "gpu07", 3000);
  check_address(with(kSrun, {{"MASTER_ADDR", "a"}, {"MASTER_PORT", "3000"}}), "a", 3000);
  const Variables given = {{"TANDEM_RENDEZVOUS", "10.0.0.7:99"}};
  for (const Variables& row : {kByHand, kTorchrun, kOpenMpi, kSrun}) check_address(with(row, given), "10.0.0.7", 99);
  check_address(with(kCray, {{"TANDEM_RENDEZVOUS", "[fe80::1]:99"}}), "fe80::1", 99);
}

TEST_CASE("launch: the first of a list of nodes") {
  for (const auto& [list, first] : std::vector<std::pair<std::string, std::string>>{{"node01", "node01"},
                                                                                    {"a,b", "a"},
                                                                                    {"node[01-04,07],b", "node01"},
                                                                                    {"gpu-a[3,5]-ib", "gpu-a3-ib"},
                                                                                    {"r[1-2]n[3-4]", "r1n3"}})
    CHECK(first_node(list) == first);
}

TEST_CASE("launch: one of two variables alone is an error that names the other") {
  for (const auto& [rank, ranks] : std::vector<std::pair<std::string, std::string>>{
           {"TANDEM_RANK", "TANDEM_WORLD_SIZE"},
           {"RANK", "WORLD_SIZE"},
           {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"},
           {"PMI_RANK", "PMI_SIZE"},
       }) {
    test::check_fails(Exit::configuration, {"[" + rank + "]", ranks}, [&, rank = rank] { read({{rank, "0"}}); });
    test::check_fails(Exit::configuration, {"[" + ranks + "]", rank}, [&, ranks = ranks] { read({{ranks, "4"}}); });
  }
  test::check_fails(Exit::configuration, {"SLURM_STEP_NUM_TASKS", "SLURM_PROCID"}, [&] {
    read({{"SLURM_STEP_NUM_TASKS", "4"}});
  });
  test::check_fails(Exit::configuration, {"MASTER_ADDR", "MASTER_PORT"}, [&] {
    read(with(kByHand, {{"MASTER_ADDR", "a"}}));
  });
}

TEST_CASE("launch: a batch script of Slurm is not a step, and one process is no launcher") {
  CHECK_FALSE(read({{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "4"}, {"SLURM_JOB_ID", "7"}}));
  CHECK_FALSE(read({{"RANK", "0"}, {"WORLD_SIZE", "1"}}));
  CHECK_FALSE(read(with(kOpenMpi, {{"OMPI_COMM_WORLD_RANK", "0"}, {"OMPI_COMM_WORLD_SIZE", "1"}}), 2));
}

TEST_CASE("launch: what does not fit is named") {
  test::check_fails(Exit::configuration, {"[OMPI_COMM_WORLD_SIZE]", "4 processes", "distributed.devices is 2"},
                    [&] { read(kOpenMpi, 2); });
  test::check_fails(Exit::configuration, {"[RANK]", "4", "WORLD_SIZE = 4"}, [&] {
    read({{"RANK", "4"}, {"WORLD_SIZE", "4"}});
  });
  test::check_fails(Exit::configuration, {"[RANK]", "'one'"}, [&] { read({{"RANK", "one"}, {"WORLD_SIZE", "4"}}); });
  for (const std::string address : {"host", "host:", ":7", "host:99999", "host:x"})
    test::check_fails(Exit::configuration, {"TANDEM_RENDEZVOUS"}, [&] {
      read(with(kByHand, {{"TANDEM_RENDEZVOUS", address}}));
    });
}

TEST_CASE("launch: the nonce follows the run and the secret; a restart is known") {
  const std::string nonce = read(kByHand)->nonce;
  CHECK(nonce == read(kTorchrun)->nonce);
  CHECK(nonce != read(with(kByHand, {{"TANDEM_SECRET", "s"}}))->nonce);
  CHECK(nonce != read_launch(4, "runs/a", "another", [](const char* name) {
                   const auto found = kByHand.find(name);
                   return found == kByHand.end() ? nullptr : found->second.c_str();
                 })->nonce);
  CHECK_FALSE(read(kTorchrun)->restarted);
  CHECK(read(with(kTorchrun, {{"TORCHELASTIC_RESTART_COUNT", "2"}}))->restarted);
}

}  // namespace
}  // namespace tandem
