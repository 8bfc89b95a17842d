#include "core/base/background.h"

#include <doctest/doctest.h>

#include <future>
#include <stdexcept>

namespace tandem {
namespace {

TEST_CASE("background: work is done in order on another thread, and told on the caller's") {
  std::vector<int> done, told;
  std::thread::id worker, teller;
  Background background;
  for (int i = 0; i < 50; ++i)
    background.start(
        [&, i] {
          done.push_back(i);
          worker = std::this_thread::get_id();
        },
        [&, i](double seconds) {
          CHECK(seconds >= 0);
          told.push_back(i);
          teller = std::this_thread::get_id();
        });
  background.finish();
  CHECK(done.size() == 50);
  CHECK(done == told);
  CHECK(teller == std::this_thread::get_id());
  CHECK(worker != teller);
}

TEST_CASE("background: the caller goes on, and collects without waiting") {
  std::promise<void> let_go;
  bool told = false;
  Background background;
  background.start([&] { let_go.get_future().wait(); }, [&](double) { told = true; });
  background.collect();
  CHECK_FALSE(told);
  let_go.set_value();
  background.finish();
  CHECK(told);
}

TEST_CASE("background: a failure is thrown once, behind what was done before it, and drops all that comes behind") {
  bool told = false, dropped = true;
  Background background;
  background.start([] {}, [&](double) { told = true; });
  std::promise<void> let_go;
  background.start([&] {
    let_go.get_future().wait();
    throw std::runtime_error("full");
  });
  background.start([&] { dropped = false; });
  let_go.set_value();
  CHECK_THROWS_WITH_AS(background.finish(), "full", std::runtime_error);
  CHECK(told);
  background.start([&] { dropped = false; });
  background.finish();
  CHECK(dropped);
}

TEST_CASE("background: its end waits for all that was given") {
  int done = 0;
  {
    Background background;
    for (int i = 0; i < 20; ++i)
      background.start([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        ++done;
      });
  }
  CHECK(done == 20);
}

}  // namespace
}  // namespace tandem
