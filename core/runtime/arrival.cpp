// A peer's side of the rendezvous: it tries until rank 0 answers.
#include <cstring>
#include <thread>

#include "core/runtime/rendezvous.h"
#include "core/runtime/wire.h"

namespace tandem {
namespace {

constexpr std::chrono::milliseconds kBetweenTries{100};
constexpr std::chrono::seconds kConnectTime{5}, kAnswerMargin{10};

struct Arrival {
  const Launch& launch;
  std::string where;  // "rank 3"
  uint64_t process;   // random, the same on both connections
  Clock::time_point until;
  std::string why;  // why the last try failed
};

wire::Hello hello_of(const Arrival& a, const std::string& nonce, wire::Channel channel) {
  wire::Hello hello{.process = a.process,
                    .rank = a.launch.rank,
                    .ranks = a.launch.ranks,
                    .local_rank = a.launch.local_rank.value_or(wire::kUnknown),
                    .channel = channel};
  std::memcpy(hello.magic, wire::kMagic, sizeof hello.magic);
  wire::put(hello.nonce, nonce);
  wire::put(hello.host_id, host_id());
  return hello;
}

std::optional<Meeting> place_of(Arrival& a) {
  if (!a.launch.host.empty()) return Meeting{a.launch.host, a.launch.port, a.launch.nonce};
  std::optional<Meeting> meeting = read_meeting(a.launch.file);
  if (!meeting) a.why = fmt::format("{} is not there", a.launch.file);
  return meeting;
}

// Connects and says hello; nullopt where nobody takes it.
std::optional<Socket> call_at(Arrival& a, const Address& address, const std::string& nonce, wire::Channel channel) {
  const Clock::time_point until = std::min(a.until, Clock::now() + kConnectTime);
  std::optional<Socket> socket = connect_to(address, until, a.why);
  if (!socket) return {};
  const auto idle = [&] {
    if (Clock::now() > until) fail(Exit::device, a.where, "{} does not read", address.text);
  };
  if (send_all(*socket, wire::bytes_of(hello_of(a, nonce, channel)), idle)) return socket;
  a.why = fmt::format("{} closed the connection", address.text);
  return {};
}

// The answer and its text; nullopt where what is there is not rank 0 of a run.
std::optional<std::pair<wire::Answer, std::string>> answer_from(Arrival& a, const Socket& socket, const Address& from) {
  const Clock::time_point until = Clock::now() + a.launch.patience + kAnswerMargin;
  const auto idle = [&] {
    if (Clock::now() > until) fail(Exit::device, a.where, "{} took the connection and does not answer", from.text);
  };
  wire::Answer answer;
  std::string text;
  a.why = fmt::format("{} closed the connection", from.text);
  if (!receive_all(socket, wire::writable_bytes_of(answer), idle)) return {};
  a.why = fmt::format("what listens at {} is not rank 0 of a run of this build", from.text);
  if (std::memcmp(answer.magic, wire::kMagic, sizeof answer.magic) != 0) return {};
  if (answer.text_bytes > wire::kTextLimit) return {};
  text.resize(answer.text_bytes);
  if (!receive_all(socket, std::as_writable_bytes(std::span(text)), idle)) return {};
  return std::pair(answer, text);
}

std::optional<Links> try_at(Arrival& a, const Address& address, const Meeting& meeting) {
  std::optional<Socket> calls = call_at(a, address, meeting.nonce, wire::Channel::calls);
  if (!calls) return {};
  std::optional<Socket> pulse = call_at(a, address, meeting.nonce, wire::Channel::pulse);
  if (!pulse) return {};
  const auto answered = answer_from(a, *calls, address);
  if (!answered) return {};
  const wire::Answer& answer = answered->first;
  if (answer.status == wire::Status::other_run && a.launch.host.empty()) return {};  // a file of an earlier run
  if (answer.status != wire::Status::joined)
    fail(answer.status == wire::Status::given_up ? Exit::device : Exit::configuration, a.where, "rank 0 at {} says: {}",
         address.text, answered->second);
  Links links{.seat = answer.seat};
  links.calls.push_back(std::move(*calls));
  links.pulse.push_back(std::move(*pulse));
  return links;
}

}  // namespace

Links find_root(const Launch& launch) {
  Arrival a{launch, fmt::format("rank {}", launch.rank), random_word(), Clock::now() + launch.patience, {}};
  do {
    if (const std::optional<Meeting> meeting = place_of(a))
      for (const Address& address : resolve(meeting->host, meeting->port, a.why))
        if (std::optional<Links> links = try_at(a, address, *meeting)) return std::move(*links);
    std::this_thread::sleep_for(kBetweenTries);
  } while (Clock::now() < a.until);
  fail(Exit::device, a.where, "rank 0 was not found within {}: {}; look whether it runs, and where it listens",
       seconds_text(launch.patience), a.why);
}

}  // namespace tandem
