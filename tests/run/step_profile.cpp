// What is made of the times of a step: profile.json, and a trace.
#include "core/run/step_profile.h"

#include <doctest/doctest.h>

#include "core/abi/add.h"
#include "core/base/json.h"

using namespace tandem;

namespace {

// A copy in and an exchange, each waited for by an addition.
Program program_of_three_queues() {
  Program p;
  p.ranks = 2;
  p.arenas = {{"device", ArenaKind::device, 1 << 20}, {"host", ArenaKind::host, 1 << 20}};
  const TensorDesc x{DType::f32, {256}};
  const BufferRef near{0, 0, x.bytes()}, far{1, 0, x.bytes()}, all{0, 4096, 2 * x.bytes()};
  const Operand in{x, near, Access::read}, out{x, near, Access::write};
  const Dispatch add{OpId::add, Parameters(abi::Add{}), {in, in, out}};
  const auto push = [&](Queue queue, Command command) {
    p.ranges[size_t(Range::micro_step)].push_back({queue, std::move(command), "sum"});
  };
  push(Queue::in, Copy{far, near});
  push(Queue::in, Signal{0});
  push(Queue::compute, Wait{0});
  push(Queue::compute, add);
  push(Queue::exchange, Collective{CollectiveKind::all_gather, {{near}}, {all}});
  push(Queue::exchange, Signal{1});
  push(Queue::compute, Wait{1});
  push(Queue::compute, add);
  return p;
}

const std::vector<TurnTimes> kTimes = {
    {Range::micro_step, {{0, 3}, {3, 3}, {0, 3.5}, {3.5, 4}, {0, 6}, {6, 6}, {4, 6.25}, {6.25, 7}}}};

}  // namespace

TEST_CASE("profile.json has what a step and each class took, and for what compute stood still") {
  const Json j = parse_json(profile_text(program_of_three_queues(), kTimes, 3, {}), "profile.json");
  CHECK(j.at("step") == 3);
  CHECK(j.at("seconds") == 7.0);
  CHECK(j.at("exposed_copy_seconds") == 3.5);
  CHECK(j.at("exposed_exchange_seconds") == 2.25);
  std::map<std::string, double> classes;
  for (const Json& c : j.at("classes")) classes[c.at("name")] = c.at("seconds");
  CHECK(classes == std::map<std::string, double>{{"memory passes", 1.25}, {"copies", 3}, {"exchange", 6}});
}

TEST_CASE("a trace has queues side by side, and what each wait was for") {
  const Json j = parse_json(trace_of(program_of_three_queues(), kTimes, {}), "trace.json");
  std::vector<std::string> seen;
  for (const Json& event : j.at("traceEvents")) {
    if (event.at("ph") != "X") continue;
    const std::string what = event.at("cat") == "wait" ? event.at("args").at("for") : event.at("args").at("class");
    seen.push_back(fmt::format("{} {} {} {}", event.at("tid").get<int>(), what, event.at("ts").get<double>() / 1e6,
                               event.at("dur").get<double>() / 1e6));
  }
  CHECK(seen == std::vector<std::string>{"1 copies 0 3", "0 in 0 3.5", "0 memory passes 3.5 0.5", "3 exchange 0 6",
                                         "0 exchange 4 2.25", "0 memory passes 6.25 0.75"});
}
