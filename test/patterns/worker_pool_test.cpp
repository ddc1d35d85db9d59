#include "support.hpp"

#include <levada/cancel/source.hpp>
#include <levada/patterns/worker_pool.hpp>
#include <levada/sync/event.hpp>
#include <levada/sync/timer.hpp>
#include <levada/task/defer.hpp>
#include <levada/task/spawn.hpp>
#include <levada/task/this_task.hpp>
#include <levada/task/timeout.hpp>

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <chrono>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

using namespace levada;
using namespace std::chrono_literals;

namespace {

task<int> twice_slowly(int x) {
    co_await sleep_for(std::chrono::microseconds(x % 7));
    co_return 2 * x;
}

task<> feed(int n, send_channel<int> jobs) {
    for (int i = 0; i < n; ++i) {
        auto sent = co_await jobs.send(i);
        if (!sent) co_return;
    }
    jobs.close();
}

task<std::vector<int>> drain(recv_channel<int> from) {
    std::vector<int> all;
    while (auto v = co_await from.recv()) all.push_back(*v);
    co_return all;
}

} // namespace

TEST_TASK("every job is done once, and results close when the jobs are drained") {
    for (std::size_t n : {1u, 3u, 50u}) {
        channel<int> jobs(4);
        channel<int> results;
        auto feeder = spawn(feed, 40, jobs);
        auto drained = spawn(drain, results);
        co_await worker_pool(n, jobs, results, twice_slowly);
        CHECK(results.closed());
        auto all = co_await drained.join();
        REQUIRE(all);
        CHECK((all->size() == 40 && std::accumulate(all->begin(), all->end(), 0) == 40 * 39));
        std::sort(all->begin(), all->end());
        CHECK(std::adjacent_find(all->begin(), all->end()) == all->end());
        auto fed = co_await feeder.join();
        CHECK(fed);
    }
}

TEST_TASK("one worker keeps the order of the jobs, and a plain callable will do") {
    channel<int> jobs(100);
    channel<std::string> results(100);
    co_await feed(30, jobs);
    co_await worker_pool(1, jobs, results, [](int x) { return std::to_string(x); });
    for (int i = 0; i < 30; ++i) {
        auto r = co_await results.recv();
        CHECK(test_support::holds(r, std::to_string(i)));
    }
    auto end = co_await results.recv();
    CHECK(end.error() == errc::closed);
}

TEST_TASK("workers work at the same time, and never more than there are") {
    channel<int> jobs(100);
    channel<int> results(100);
    co_await feed(20, jobs);
    int running = 0;
    int most = 0;
    event all; // who has begun waits for the others
    auto work = [&](int x) -> task<int> {
        most = std::max(most, ++running);
        if (running == 4) all.set();
        co_await all.wait();
        co_await sleep_for(100us);
        --running;
        co_return x;
    };
    co_await worker_pool(4, jobs, results, work);
    CHECK(most == 4);
    CHECK(results.size() == 20);
}

TEST_TASK("jobs and results may be move-only") {
    channel<std::unique_ptr<int>> jobs(3);
    channel<std::unique_ptr<int>> results(3);
    for (int i = 0; i < 3; ++i) {
        auto job = std::make_unique<int>(i);
        auto sent = co_await jobs.send(std::move(job));
        CHECK(sent);
    }
    jobs.close();
    co_await worker_pool(2, jobs, results, [](std::unique_ptr<int> p) {
        *p += 10;
        return p;
    });
    int sum = 0;
    while (auto r = co_await results.recv()) sum += **r;
    CHECK(sum == 33);
}

TEST_TASK("an exception cancels the other workers, closes the results and is thrown after they have ended") {
    channel<int> jobs(10);
    channel<int> results(10);
    for (int i = 0; i < 5; ++i) {
        auto sent = co_await jobs.send(i);
        CHECK(sent);
    }
    std::string log;
    int begun = 0;
    event all; // each worker has a job
    auto work = [&](int x) -> task<int> {
        test_support::mourner m(log, 'm');
        if (++begun == 3) all.set();
        if (x == 2) {
            co_await all.wait();
            throw std::runtime_error("job 2");
        }
        co_await sleep_for(1h);
        co_return x;
    };
    std::string what;
    try {
        co_await worker_pool(3, jobs, results, work);
    } catch (const std::runtime_error& e) {
        what = e.what();
        CHECK(log == "mmm");
    }
    CHECK(what == "job 2");
    CHECK(results.closed());
    CHECK_FALSE(jobs.closed());
    CHECK(jobs.size() == 2); // the others took one each
}

TEST_TASK("workers stop when nobody receives the results any more, although there are jobs") {
    channel<int> jobs(100);
    channel<int> results;
    for (int i = 0; i < 50; ++i) {
        auto sent = co_await jobs.send(i);
        CHECK(sent);
    }
    auto first = spawn(
        [](channel<int> from) -> task<int> {
            auto r = co_await from.recv();
            from.close();
            co_return r.value_or(-1);
        },
        results);
    int done = 0;
    co_await worker_pool(3, jobs, results, [&](int x) {
        ++done;
        return x;
    });
    CHECK(done <= 4);
    auto r = co_await first.join();
    CHECK(r);
}

TEST_TASK("a pool whose receiver has gone ends, although its other workers wait for jobs") {
    channel<int> jobs(1);
    channel<int> results;
    results.close();
    auto sent = co_await jobs.send(1);
    CHECK(sent);
    auto bounded =
        co_await with_timeout(1h, [&]() -> task<> { co_await worker_pool(3, jobs, results, twice_slowly); });
    REQUIRE(bounded.has_value()); // its comment promises so
}

TEST_TASK("cancelling a pool joins its workers and closes the results") {
    channel<int> jobs(10);
    channel<int> results(10);
    co_await feed(5, jobs);
    std::string log;
    auto work = [&](int x) -> task<int> {
        test_support::mourner m(log, 'm');
        co_await sleep_for(1h);
        co_return x;
    };
    auto pool = spawn([&]() -> task<> { co_await worker_pool(3, jobs, results, work); });
    while (jobs.size() > 2) co_await this_task::yield();
    co_await test_support::until_all_parked();
    CHECK(log == "");
    pool.cancel();
    auto r = co_await pool.join();
    CHECK(r.error() == errc::cancelled);
    CHECK(log == "mmm");
    CHECK(results.closed());
}

TEST_TASK("a pool over closed and empty jobs closes its results at once") {
    channel<int> jobs;
    jobs.close();
    channel<int> results;
    co_await worker_pool(5, jobs, results, twice_slowly);
    auto r = co_await results.recv();
    CHECK(r.error() == errc::closed);
}

TEST_TASK("a pool that is never awaited leaves its channels alone") {
    channel<int> jobs(1);
    channel<int> results(1);
    {
        auto never = worker_pool(2, jobs, results, twice_slowly);
        (void)never;
    }
    CHECK_FALSE(results.closed());
    co_return;
}
