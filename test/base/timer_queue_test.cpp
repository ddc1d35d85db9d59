#include <support.hpp>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include <catch2/generators/catch_generators.hpp>

#include <levada/detail/util/clock_arithmetic.hpp>
#include <levada/detail/util/timer_queue.hpp>

using namespace levada;
using namespace std::chrono_literals;

namespace {

class timer : public detail::timer_node {
public:
    timer(int id, std::vector<int>& log) : id_(id), log_(&log) {}
    int id() const { return id_; }

private:
    void fire() noexcept override { log_->push_back(id_); }
    int id_;
    std::vector<int>* log_;
};

time_point at_ms(int ms) { return time_point(std::chrono::milliseconds(ms)); }

} // namespace

TEST_CASE("an empty timer queue has no deadline") {
    detail::timer_queue q;
    REQUIRE(q.empty());
    REQUIRE(q.earliest() == time_point::max());
    q.fire_until(time_point::max());
}

TEST_CASE("timers of equal deadlines fire in the order of arming") {
    std::vector<int> log;
    std::vector<std::unique_ptr<timer>> timers;
    detail::timer_queue q;
    for (int i = 0; i < 100; ++i) {
        timers.push_back(std::make_unique<timer>(i, log));
        q.insert(*timers.back(), at_ms(i % 3));
    }
    for (int i = 0; i < 100; i += 7) q.erase(*timers[static_cast<std::size_t>(i)]);
    q.fire_until(at_ms(2));
    std::vector<int> expected;
    for (int rest = 0; rest < 3; ++rest)
        for (int i = 0; i < 100; ++i)
            if (i % 3 == rest && i % 7 != 0) expected.push_back(i);
    REQUIRE(log == expected);
}

TEST_CASE("a timer fires at its deadline and not before") {
    std::vector<int> log;
    timer t(1, log);
    detail::timer_queue q;
    q.insert(t, at_ms(5));
    REQUIRE(t.armed());
    q.fire_until(at_ms(5) - 1ns);
    REQUIRE(log.empty());
    q.fire_until(at_ms(5));
    REQUIRE(log.size() == 1);
    REQUIRE(!t.armed());
    q.erase(t); // not armed any more: nothing to do
    q.insert(t, at_ms(6));
    REQUIRE(q.earliest() == at_ms(6));
    q.erase(t);
    REQUIRE(q.empty());
}

TEST_CASE("what a look leaves of those that are due fires at the next, in order, and is known to be due") {
    std::vector<int> log;
    std::vector<std::unique_ptr<timer>> timers;
    detail::timer_queue q;
    std::vector<int> expected;
    for (int i = 0; i < 100; ++i) {
        timers.push_back(std::make_unique<timer>(i, log));
        q.insert(*timers.back(), at_ms(i)); // near ones, and slots of the wheel
        expected.push_back(i);
    }
    for (std::size_t fired = 0; fired < 90; fired += 30) {
        REQUIRE(q.earliest() <= at_ms(static_cast<int>(fired)));
        q.fire_until(at_ms(99), 30);
        REQUIRE(log.size() == fired + 30);
    }
    q.fire_until(at_ms(99));
    REQUIRE(log == expected);
    REQUIRE(q.earliest() == time_point::max());
}

TEST_CASE("random inserts, erases and firings agree with a sorted model") {
    // From timers that share a slot of the wheel to those that are days apart.
    const auto unit =
        GENERATE(duration(1), duration(1us), duration(50us), duration(1ms), duration(1min), duration(5h));
    const auto at = [&](int n) { return time_point(unit * n); };
    for (unsigned seed = 1; seed <= 20; ++seed) {
        std::mt19937 random(seed);
        std::vector<int> log;
        std::vector<int> expected;
        std::vector<std::unique_ptr<timer>> timers;
        for (int i = 0; i < 200; ++i) timers.push_back(std::make_unique<timer>(i, log));
        std::map<std::pair<time_point, int>, timer*> model; // by deadline and order of arming
        std::map<timer*, std::pair<time_point, int>> armed;
        detail::timer_queue q;
        int order = 0;
        int clock = 0;
        for (int step = 0; step < 5000; ++step) {
            timer& t = *timers[random() % timers.size()];
            switch (random() % 4) {
                case 0:
                case 1:
                    if (t.armed()) break;
                    {
                        const std::pair<time_point, int> key{at(clock + static_cast<int>(random() % 50)),
                                                             order++};
                        q.insert(t, key.first);
                        model[key] = &t;
                        armed[&t] = key;
                    }
                    break;
                case 2:
                    q.erase(t);
                    if (auto it = armed.find(&t); it != armed.end()) {
                        model.erase(it->second);
                        armed.erase(it);
                    }
                    break;
                default:
                    clock += static_cast<int>(random() % 5);
                    q.fire_until(at(clock));
                    while (!model.empty() && model.begin()->first.first <= at(clock)) {
                        expected.push_back(model.begin()->second->id());
                        armed.erase(model.begin()->second);
                        model.erase(model.begin());
                    }
            }
            REQUIRE(q.empty() == model.empty());
            if (model.empty()) REQUIRE(q.earliest() == time_point::max());
            else REQUIRE(q.earliest() <= model.begin()->first.first);
        }
        REQUIRE(log == expected);
    }
}

TEST_CASE("one who always looks again at the earliest deadline fires every timer at its own") {
    std::vector<int> log;
    std::vector<std::unique_ptr<timer>> timers;
    std::mt19937_64 random(7);
    detail::timer_queue q;
    q.fire_until(at_ms(1000));
    std::multimap<time_point, int> expected;
    for (int i = 0; i < 3000; ++i) {
        timers.push_back(std::make_unique<timer>(i, log));
        // As many of a microsecond as of a day.
        const auto when = at_ms(1000) + duration(random() >> (random() % 48 + 16));
        q.insert(*timers.back(), when);
        expected.emplace(when, i);
    }
    int looks = 0;
    while (!q.empty()) {
        const time_point t = q.earliest();
        const std::size_t before = log.size();
        q.fire_until(t);
        for (std::size_t n = before; n < log.size(); ++n) {
            REQUIRE(expected.begin()->first == t);
            expected.erase(expected.begin());
        }
        ++looks;
    }
    REQUIRE(expected.empty());
    REQUIRE(log.size() == timers.size());
    REQUIRE(looks < 3500); // few in vain
}

TEST_CASE(
    "a moment to look at that has passed is not named again, though all that stood there were dropped") {
    // Twenty in one slot, so that the queue names the slot's beginning; what is left is an hour off.
    for (const bool drops : {true, false}) {
        std::vector<int> log;
        detail::timer_queue q;
        q.fire_until(at_ms(1000));
        timer far(0, log);
        q.insert(far, at_ms(3'600'000));
        std::vector<std::unique_ptr<timer>> timers;
        for (int i = 1; i <= 20; ++i) {
            timers.push_back(std::make_unique<timer>(i, log));
            q.insert(*timers.back(), at_ms(1700) + i * 1us);
        }
        REQUIRE(q.earliest() <= at_ms(1701));
        if (drops)
            for (auto& t : timers) q.erase(*t);
        int looks = 0;
        // Just before the moment, then as told.
        for (time_point t = q.earliest() - 10us; !q.empty(); t = q.earliest()) {
            q.fire_until(t);
            REQUIRE((q.empty() || q.earliest() > t));
            ++looks;
        }
        CHECK(log.size() == (drops ? 1u : 21u));
        CHECK(looks < 60);
    }
}

TEST_CASE("a timer that is armed, or dropped, by one that fires is fired, or not, in its turn") {
    struct arming : detail::timer_node {
        void fire() noexcept override {
            for (timer* t : arms) q->insert(*t, q_next);
            for (timer* t : drops) q->erase(*t);
        }
        detail::timer_queue* q = nullptr;
        time_point q_next;
        std::vector<timer*> arms, drops;
    };
    std::vector<int> log;
    detail::timer_queue q;
    timer now(1, log), later(2, log), dropped(3, log);
    arming first;
    first.q = &q;
    first.q_next = at_ms(7);
    first.arms = {&now};
    first.drops = {&dropped};
    q.insert(first, at_ms(5));
    q.insert(dropped, at_ms(6));
    q.insert(later, at_ms(9));
    q.fire_until(at_ms(8));
    REQUIRE(log == std::vector<int>{1});
    REQUIRE(!dropped.armed());
    q.fire_until(at_ms(9));
    REQUIRE(log == std::vector<int>{1, 2});
}

TEST_CASE("time stops at the ends of the clock instead of overflowing") {
    REQUIRE(detail::saturating_add(time_point::max() - 1s, 2s) == time_point::max());
    REQUIRE(detail::saturating_add(time_point::min() + 1s, -2s) == time_point::min());
    REQUIRE(detail::saturating_add(at_ms(1), 1ms) == at_ms(2));
    REQUIRE(detail::to_duration(std::chrono::hours::max()) == duration::max());
    REQUIRE(detail::to_duration(std::chrono::hours::min()) == duration::min());
    REQUIRE(detail::to_duration(std::chrono::duration<double, std::nano>(1.5)) == 2ns); // rounded up
}
