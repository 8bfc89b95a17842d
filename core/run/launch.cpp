#include "core/run/launch.h"

#include <charconv>
#include <limits>
#include <vector>

#include "core/base/hash.h"

namespace tandem {
namespace {

// The variables of a launcher. The first local rank that is set counts; some say no number of local ranks.
struct Launcher {
  const char *rank, *ranks;
  std::vector<std::pair<const char*, const char*>> local;
  bool by_size = false;  // its rank alone means nothing
};

const std::vector<Launcher>& launchers() {
  static const std::vector<Launcher> rows = {
      {"TANDEM_RANK", "TANDEM_WORLD_SIZE", {{"TANDEM_LOCAL_RANK", nullptr}}},
      {"RANK", "WORLD_SIZE", {{"LOCAL_RANK", "LOCAL_WORLD_SIZE"}}},
      {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", {{"OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"}}},
      {"PMI_RANK", "PMI_SIZE", {{"MPI_LOCALRANKID", "MPI_LOCALNRANKS"}, {"PMI_LOCAL_RANK", nullptr}}},
      // A batch script has SLURM_PROCID too, without a step around it.
      {"SLURM_PROCID", "SLURM_STEP_NUM_TASKS", {{"SLURM_LOCALID", nullptr}}, true},
  };
  return rows;
}

std::optional<std::string> value_of(const Environment& environment, const char* name) {
  const char* value = name ? environment(name) : nullptr;
  if (!value || !*value) return {};
  return value;
}

uint64_t number_in(std::string_view text, const char* name, uint64_t most) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number > most)
    fail(Exit::configuration, name, "'{}' is not a number from 0 to {}", text, most);
  return number;
}

std::optional<uint32_t> number_of(const Environment& environment, const char* name,
                                  uint32_t most = std::numeric_limits<int32_t>::max()) {
  const std::optional<std::string> text = value_of(environment, name);
  if (!text) return {};
  return uint32_t(number_in(*text, name, most));
}

// True if the row's two variables are set.
bool is_set(const Launcher& row, const Environment& environment) {
  const bool rank = value_of(environment, row.rank).has_value(), ranks = value_of(environment, row.ranks).has_value();
  if (rank == ranks || (rank && row.by_size)) return rank && ranks;
  const char *there = rank ? row.rank : row.ranks, *other = rank ? row.ranks : row.rank;
  fail(Exit::configuration, there, "is set and {} is not: set both, or neither for ranks that are threads", other);
}

void read_local(const Launcher& row, const Environment& environment, Launch& launch) {
  for (const auto& names : row.local) {
    launch.local_rank = number_of(environment, names.first);
    if (!launch.local_rank) continue;
    launch.local_ranks = number_of(environment, names.second);
    return;
  }
}

// "host:port" or "[address]:port"
void read_address(const std::string& text, const char* name, Launch& launch) {
  const size_t colon = text.rfind(':');
  if (colon == text.npos || colon == 0 || colon + 1 == text.size())
    fail(Exit::configuration, name, "'{}' is not an address: give HOST:PORT, as in node01:20000", text);
  launch.host = text.substr(0, colon);
  if (launch.host.starts_with('[') && launch.host.ends_with(']'))
    launch.host = launch.host.substr(1, launch.host.size() - 2);
  launch.port = uint16_t(number_in(text.substr(colon + 1), name, 65535));
}

// The address of MASTER_ADDR, which torchrun's agent may itself listen at.
void read_master(const std::string& host, const Environment& environment, Launch& launch) {
  const std::optional<uint32_t> port = number_of(environment, "MASTER_PORT", 65534);
  if (!port) fail(Exit::configuration, "MASTER_ADDR", "is set and MASTER_PORT is not: set both, or neither");
  launch.host = host;
  const bool agent = value_of(environment, "TORCHELASTIC_USE_AGENT_STORE") == "True";
  launch.port = uint16_t(*port + (agent ? 1 : 0));
}

void read_slurm(const std::string& nodes, const Environment& environment, Launch& launch) {
  launch.host = first_node(nodes);
  if (const std::optional<uint32_t> port = number_of(environment, "MASTER_PORT", 65535)) launch.port = uint16_t(*port);
  else if (const std::optional<std::string> job = value_of(environment, "SLURM_JOB_ID"))
    launch.port = uint16_t(20000 + number_in(*job, "SLURM_JOB_ID", std::numeric_limits<uint64_t>::max()) % 10000);
  else fail(Exit::configuration, "SLURM_STEP_NODELIST", "is set and SLURM_JOB_ID is not: set MASTER_PORT");
}

void read_rendezvous(const Environment& environment, const std::string& run_directory, Launch& launch) {
  if (const auto address = value_of(environment, "TANDEM_RENDEZVOUS"))
    read_address(*address, "TANDEM_RENDEZVOUS", launch);
  else if (const auto master = value_of(environment, "MASTER_ADDR")) read_master(*master, environment, launch);
  else if (const auto nodes = value_of(environment, "SLURM_STEP_NODELIST")) read_slurm(*nodes, environment, launch);
  else launch.file = run_directory + ".rendezvous";
}

std::string nonce_of(std::string_view identity, const Environment& environment) {
  const std::string text = fmt::format("{}\n{}", identity, value_of(environment, "TANDEM_SECRET").value_or(""));
  return xxh3(std::as_bytes(std::span(text)));
}

}  // namespace

std::string first_node(std::string_view list) {
  std::string name;
  bool first = true;  // the name is the first in its brackets
  int depth = 0;
  for (const char c : list) {
    if (c == '[') ++depth, first = true;
    else if (c == ']') --depth;
    else if (depth == 0 && c == ',') break;
    else if (depth > 0 && (c == ',' || c == '-')) first = false;
    else if (depth == 0 || first) name += c;
  }
  return name;
}

std::optional<Launch> read_launch(uint32_t devices, const std::string& run_directory, std::string_view identity,
                                  const Environment& environment) {
  const Launcher* row = nullptr;
  for (const Launcher& candidate : launchers())
    if (!row && is_set(candidate, environment)) row = &candidate;
  if (!row) return {};
  Launch launch{.rank = *number_of(environment, row->rank), .ranks = *number_of(environment, row->ranks)};
  if (launch.ranks == 1) return {};
  if (launch.rank >= launch.ranks)
    fail(Exit::configuration, row->rank, "{} is not below {} = {}", launch.rank, row->ranks, launch.ranks);
  if (launch.ranks != devices)
    fail(Exit::configuration, row->ranks,
         "{} processes were started, and distributed.devices is {}: give as many devices as there are processes",
         launch.ranks, devices);
  read_local(*row, environment, launch);
  read_rendezvous(environment, run_directory, launch);
  launch.nonce = nonce_of(identity, environment);
  launch.restarted = number_of(environment, "TORCHELASTIC_RESTART_COUNT").value_or(0) > 0;
  return launch;
}

}  // namespace tandem
