// offload: blocking work on a pool of threads.

#include <support.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <levada/levada.hpp>

using namespace levada;
using namespace std::chrono_literals;

namespace {

/// A door that plain threads wait at.
class gate {
public:
    void open() {
        std::lock_guard guard(mutex_);
        open_ = true;
        changed_.notify_all();
    }
    void pass() {
        std::unique_lock guard(mutex_);
        ++waiting_;
        changed_.notify_all();
        changed_.wait(guard, [this] { return open_; });
    }
    void until_waiting(int n) {
        std::unique_lock guard(mutex_);
        changed_.wait(guard, [this, n] { return waiting_ >= n; });
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool open_ = false;
    int waiting_ = 0;
};

class limit_for_a_test {
public:
    explicit limit_for_a_test(std::size_t n) : before_(offload_limit()) { set_offload_limit(n); }
    ~limit_for_a_test() { set_offload_limit(before_); }
    limit_for_a_test(const limit_for_a_test&) = delete;
    limit_for_a_test& operator=(const limit_for_a_test&) = delete;

private:
    std::size_t before_;
};

} // namespace

TEST_CASE("offload gives the call's value, whatever it is, and comes back to the loop that it left") {
    const std::size_t frames = frame_pool::live();
    test_support::expectations all_loops;
    {
        const test_support::with_loops unset;
        runtime rt({.loops = 3, .eager = true});
        const int code = rt.run([&]() -> task<> {
            co_await with_group([&](task_group& g) -> task<> {
                for (int i = 0; i < 20; ++i)
                    g.go([&]() -> task<> {
                        for (int n = 0; n < 10; ++n) {
                            event_loop* const before = event_loop::current();
                            const auto here = std::this_thread::get_id();
                            auto there = co_await offload([] { return std::this_thread::get_id(); });
                            all_loops.expect(there != here);
                            all_loops.expect(event_loop::current() == before);
                            all_loops.expect(std::this_thread::get_id() == here);
                        }
                    });
                co_return;
            });
            auto p = co_await offload([](std::unique_ptr<int> q) { return q; }, std::make_unique<int>(3));
            all_loops.expect(*p == 3);
            co_await offload([] {});
            int x = 0;
            int& ref = co_await offload([&x]() -> int& { return x; });
            all_loops.expect(&ref == &x);
            auto r = co_await offload([]() -> result<int> { return fail(errc::closed); });
            all_loops.expect(r.error() == errc::closed);
        });
        CHECK(code == 0);
    }
    CHECK(frame_pool::live() == frames);
}

TEST_CASE("an exception of an offloaded call comes out of the await") {
    std::string what;
    CHECK(levada::run([&]() -> task<> {
              try {
                  co_await offload([] { throw std::runtime_error("from the pool"); });
              } catch (const std::runtime_error& e) {
                  what = e.what();
              }
          }) == 0);
    CHECK(what == "from the pool");
}

TEST_CASE("offloaded calls do not stop the loop, and run beside each other") {
    gate g;
    CHECK(levada::run([&]() -> task<> {
              co_await with_group([&](task_group& group) -> task<> {
                  for (int i = 0; i < 8; ++i)
                      group.go([&]() -> task<> { co_await offload([&g] { g.pass(); }); });
                  co_await sleep_for(1ms); // the loop runs on
                  co_await offload([&g] { g.until_waiting(8); });
                  g.open();
              });
          }) == 0);
    CHECK(offload_threads() >= 9);
}

TEST_CASE(
    "a call that waits for a thread of the pool is withdrawn by a cancel; one that runs is waited for") {
    const limit_for_a_test one(1);
    // Threads that an earlier test has left end once they have nothing to do, and more than the limit are
    // there.
    while (offload_threads() > 1) {
        CHECK(levada::run([]() -> task<> { co_await offload([] {}); }) == 0);
        std::this_thread::yield();
    }
    gate g;
    std::atomic<bool> first_done{false}, second_ran{false};
    CHECK(levada::run([&]() -> task<> {
              bool after = false;
              auto first = spawn([&]() -> task<int> {
                  const int n = co_await offload([&] {
                      g.pass();
                      first_done = true;
                      return 5;
                  });
                  after = true;
                  co_await this_task::yield(); // unwinds here
                  co_return n;
              });
              while (!test_support::is_parked(first)) co_await this_task::yield();
              g.until_waiting(1); // it runs
              auto second = spawn([&]() -> task<> { co_await offload([&] { second_ran = true; }); });
              while (!test_support::is_parked(second)) co_await this_task::yield();
              second.cancel();
              auto s = co_await second.join();
              CHECK(s.error() == errc::cancelled);
              first.cancel();
              CHECK(!first_done);
              g.open();
              auto f = co_await first.join();
              CHECK(f.error() == errc::cancelled);
              CHECK(first_done);
              CHECK(after);
          }) == 0);
    CHECK(!second_ran);
}

TEST_CASE("a blocking receive inside offload ends with cancelled when its task is cancelled") {
    CHECK(levada::run([]() -> task<> {
              channel<int> never;
              for (const bool late : {false, true}) {
                  std::atomic<bool> began{false};
                  std::error_code why;
                  auto h = spawn([&]() -> task<> {
                      why = co_await offload([&] {
                          began = true;
                          auto r = never.recv_blocking();
                          return r.error();
                      });
                  });
                  while (!test_support::is_parked(h)) co_await this_task::yield();
                  while (late && !began) co_await sleep_for(1ms);
                  h.cancel();
                  auto r = co_await h.join();
                  // Withdrawn, or completed with the outcome that says it; then main's task had nothing left
                  // to do.
                  if (r) CHECK(why == errc::cancelled);
                  else CHECK(r.error() == errc::cancelled);
                  CHECK((!late || r.has_value()));
              }
              CHECK(!never.try_send(1)); // nobody waits there
          }) == 0);
}

TEST_CASE(
    "an offloaded call under a timeout that runs on is reported as done, one that did not begin is not") {
    CHECK(levada::run([]() -> task<> {
              for (std::atomic<bool> began{false}; !began;) {
                  auto r = co_await with_timeout(1ms, offload([&began] {
                                                     began = true;
                                                     std::this_thread::sleep_for(20ms);
                                                     return 3;
                                                 }));
                  if (began) CHECK(test_support::holds(r, 3));
                  else CHECK(r.error() == errc::timed_out);
              }
          }) == 0);
}

TEST_CASE("offload on a loop without threads in mind terminates with a message") {
    const auto d = test_support::run_task_to_death([]() -> task<> { co_await offload([] {}); });
    CHECK(d.aborted);
    CHECK(d.says("needs an event_loop"));
}
