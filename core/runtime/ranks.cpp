#include "core/runtime/ranks.h"

#include <atomic>
#include <exception>
#include <optional>
#include <thread>

#include "core/base/hash.h"
#include "core/base/message.h"
#include "core/runtime/watchdog.h"

namespace tandem {
namespace {

// What ranks threw; the first one is the cause of the others.
struct Failures {
  std::vector<std::exception_ptr> thrown;
  std::atomic<int64_t> first{-1};

  void add(uint32_t rank, std::exception_ptr error) {
    thrown[rank] = std::move(error);
    int64_t none = -1;
    first.compare_exchange_strong(none, rank);
  }
};

Exit run_rank(World& world, const std::function<Exit(World&)>& body, Failures& failures) {
  const uint32_t rank = world.seat().rank;
  const auto failed = [&](Exit exit, const char* text) {
    failures.add(rank, std::current_exception());
    world.fail(exit, text);
    return exit;
  };
  try {
    return body(world);
  } catch (const Error& e) {
    return failed(e.exit(), e.what());
  } catch (const std::bad_alloc& e) {
    return failed(Exit::does_not_fit, "out of host memory");
  } catch (const std::exception& e) {
    return failed(Exit::internal, e.what());
  }
}

// A World's errors name their rank themselves.
std::string of_rank(int64_t rank, const std::string& text) {
  const std::string name = fmt::format("[rank {}] ", rank);
  return text.starts_with(name) ? text : name + text;
}

[[noreturn]] void throw_again(const std::exception_ptr& thrown, int64_t rank) {
  try {
    std::rethrow_exception(thrown);
  } catch (const DeviceHangs& e) {
    throw DeviceHangs(of_rank(rank, e.what()));
  } catch (const Error& e) {
    throw Error(e.exit(), of_rank(rank, e.what()));
  }
}

}  // namespace

Exit run_threads(uint32_t ranks, const std::function<Exit(World&)>& body) {
  std::vector<std::unique_ptr<World>> worlds = local_worlds(ranks);
  Failures failures{.thrown = std::vector<std::exception_ptr>(ranks)};
  std::vector<std::thread> peers;
  for (uint32_t r = 1; r < ranks; ++r)
    peers.emplace_back([&, world = std::move(worlds[r])] {
      keep_quiet();
      run_rank(*world, body, failures);
    });
  const Exit exit = run_rank(*worlds[0], body, failures);
  worlds[0].reset();  // whoever still waits for it ends
  for (std::thread& peer : peers) peer.join();
  if (failures.first >= 0) throw_again(failures.thrown[size_t(failures.first)], failures.first);
  return exit;
}

void require_same(World& world, std::string_view text, std::string_view what, std::string_view remedy) {
  Xxh3 hash;
  hash.update(std::as_bytes(std::span(text)));
  const std::vector<uint64_t> all = gather_values(world, text.empty() ? 0 : hash.digest(), what);
  for (size_t r = 0; r < all.size(); ++r)
    if (all[r] != 0 && all[r] != all[0])
      fail(Exit::configuration, what, "of rank {} differ from rank 0's; {}", r, remedy);
}

Exit run_process(const Launch& launch, const std::function<Exit(World&)>& body) {
  if (launch.rank > 0) keep_quiet();
  const std::unique_ptr<World> world = tcp_world(launch);
  Failures failures{.thrown = std::vector<std::exception_ptr>(launch.ranks)};
  const Exit exit = run_rank(*world, body, failures);
  if (failures.first >= 0) throw_again(failures.thrown[launch.rank], launch.rank);
  return exit;
}

}  // namespace tandem
