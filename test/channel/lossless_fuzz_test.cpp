// Random tasks do everything that can be done to channels, and are cancelled at random. Afterwards every
// value was received once, or came back to its sender, or is still in a channel. A seed repeats its run.

#include "support.hpp"

#include <levada/channel/channel.hpp>
#include <levada/channel/select.hpp>
#include <levada/sync/timer.hpp>
#include <levada/task/or_cancelled.hpp>
#include <levada/task/spawn.hpp>
#include <levada/task/this_task.hpp>
#include <levada/task/timeout.hpp>

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

using namespace levada;

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool sanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool sanitized = true;
#else
constexpr bool sanitized = false;
#endif
#else
constexpr bool sanitized = false;
#endif

// 24 seeds: 1.2 million operations, a tenth of that under sanitizers.
constexpr std::uint64_t seeds = 24;
constexpr long operations_per_seed = sanitized ? 5'000 : 50'000;

/// What became of each value.
class ledger {
public:
    struct fate {
        int died = 0, sent = 0, returned = 0, received = 0, left = 0;
    };
    int birth() {
        all.emplace_back();
        return static_cast<int>(all.size()) - 1;
    }
    fate& of(int id) { return all.at(static_cast<std::size_t>(id)); }
    void expect(bool right, const char* what) {
        if (!right && wrong.empty()) wrong = what;
    }
    std::vector<fate> all;
    std::string wrong;
};
ledger* book = nullptr;

/// A value that knows its number; move-only, never copied, never used after a move.
class token {
public:
    explicit token(int id) noexcept : id_(id) {}
    token(token&& other) noexcept : id_(std::exchange(other.id_, -1)) {
        book->expect(id_ >= 0, "a value was moved from twice");
    }
    token& operator=(token&&) = delete;
    ~token() {
        if (id_ >= 0 && ++book->of(id_).died != 1) book->expect(false, "a value was destroyed twice");
        id_ = -2;
    }
    bool holds() const noexcept { return id_ >= 0; }
    int id() const noexcept { return id_; }

private:
    int id_;
};

/// A value that a task offers. If the task unwinds, it must still be here.
class offer {
public:
    offer() : id_(book->birth()), value(id_) {}
    offer(const offer&) = delete;
    ~offer() {
        if (settled_) return;
        book->expect(value.holds(), "a sender unwound although its value had been taken");
        if (value.holds()) ++book->of(id_).returned;
    }
    void settle(bool sent) {
        book->expect(sent != value.holds(), sent ? "sent, and yet still here" : "not sent, and yet gone");
        ++(sent ? book->of(id_).sent : book->of(id_).returned);
        settled_ = true;
    }

private:
    int id_;
    bool settled_ = false;

public:
    token value;
};

void received(const token& t) {
    book->expect(t.holds(), "an empty value was received");
    if (t.holds()) ++book->of(t.id()).received;
}
void received(const result<token>& r) {
    if (r) received(*r);
    else
        book->expect(r.error() == errc::closed || r.error() == errc::empty || r.error() == errc::timed_out,
                     "a receive failed strangely");
}
void settle(offer& o, const result<void>& r) { o.settle(r.has_value()); }

struct world {
    explicit world(std::uint64_t seed) : state(seed * 0x9e3779b97f4a7c15u + 1) {
        for (int i = 0; i < 6; ++i) open.push_back(fresh());
    }
    std::uint32_t roll(std::uint32_t n) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        return static_cast<std::uint32_t>((state >> 32) % n);
    }
    channel<token> fresh() {
        switch (roll(6)) {
            case 0: return channel<token>(1);
            case 1: return channel<token>(2);
            case 2: return channel<token>(9);
            case 3: return channel<token>::unbounded();
            default: return channel<token>();
        }
    }
    channel<token> pick() {
        if (roll(50) == 0) return nil;
        return open[roll(static_cast<std::uint32_t>(open.size()))];
    }
    std::chrono::microseconds soon() { return std::chrono::microseconds(roll(6)); }
    void close_one() {
        auto& slot = open[roll(static_cast<std::uint32_t>(open.size()))];
        slot.close();
        old.push_back(slot);
        slot = fresh();
    }

    std::uint64_t state;
    std::vector<channel<token>> open, old;
    long operations = 0;
    int live = 0;
};

task<> plain(world& w, std::uint32_t kind) {
    auto ch = w.pick();
    offer o;
    if (kind == 0) {
        auto r = co_await ch.send(std::move(o.value));
        settle(o, r);
    } else if (kind == 1) {
        auto r = co_await with_timeout(w.soon(), ch.send(std::move(o.value)));
        settle(o, r);
    } else if (kind == 2) {
        auto r = ch.try_send(std::move(o.value));
        settle(o, r);
    } else {
        auto p = co_await ch.reserve();
        if (w.roll(3) == 0) co_await this_task::yield();
        if (p && w.roll(4) != 0) settle(o, p->send(std::move(o.value)));
    }
}

task<> take(world& w, std::uint32_t kind) {
    auto ch = w.pick();
    if (kind == 0) {
        auto r = co_await ch.recv();
        received(r);
    } else if (kind == 1) {
        auto r = co_await with_timeout(w.soon(), ch.recv());
        received(r);
    } else if (kind == 2) {
        auto r = ch.try_recv();
        received(r);
    } else if (kind == 3) {
        auto r = co_await or_cancelled(ch.recv());
        if (r) received(*r);
    } else {
        std::vector<token> out;
        auto n = co_await ch.recv_many(out, 1 + w.roll(5));
        book->expect(n.value_or(0) == out.size(), "recv_many counted wrong");
        for (auto& t : out) received(t);
    }
}

task<> choose(world& w, std::uint32_t kind) {
    auto a = w.pick(), b = w.roll(3) == 0 ? a : w.pick(), c = w.pick();
    if (kind == 0) {
        auto s = co_await select(a.recv(), after(w.soon()), b.recv());
        if (s.index() == 0) received(get<0>(s));
        if (s.index() == 2) received(get<2>(s));
    } else if (kind == 1) {
        offer o;
        auto s = co_await select(a.send(std::move(o.value)), b.recv());
        if (s.index() == 0) settle(o, get<0>(s));
        else received(get<1>(s));
    } else if (kind == 2) {
        offer x, y;
        auto s = co_await select(a.send(std::move(x.value)), b.send(std::move(y.value)), c.recv(),
                                 after(w.soon()));
        if (s.index() == 0) settle(x, get<0>(s));
        if (s.index() == 1) settle(y, get<1>(s));
        if (s.index() == 2) received(get<2>(s));
    } else if (kind == 3) {
        offer o;
        auto s = co_await select_in_order(a.recv(), b.send(std::move(o.value)), otherwise);
        if (s.index() == 0) received(get<0>(s));
        if (s.index() == 1) settle(o, get<1>(s));
    } else if (kind == 4) {
        offer o;
        auto s = co_await select(a.reserve(), b.recv(), after(w.soon()));
        if (s.index() == 1) received(get<1>(s));
        if (s.index() == 0 && get<0>(s)) settle(o, get<0>(s)->send(std::move(o.value)));
    } else {
        std::vector<detail::recv_op<token>> arms;
        for (const auto& ch : w.open) arms.push_back(ch.recv());
        offer o;
        auto s = co_await select(select_range(arms), c.send(std::move(o.value)), after(w.soon()));
        if (s.index() == 0) received(get<0>(s).outcome);
        if (s.index() == 1) settle(o, get<1>(s));
    }
}

task<> act(world& w) {
    struct counted {
        explicit counted(int& n) : n_(n) { ++n_; }
        ~counted() { --n_; }
        int& n_;
    } here(w.live);
    for (;;) {
        ++w.operations;
        const auto dice = w.roll(100);
        if (dice < 30) co_await plain(w, dice % 4);
        else if (dice < 60) co_await take(w, dice % 5);
        else if (dice < 98) co_await choose(w, dice % 6);
        else if (dice == 98) co_await this_task::yield();
        else if (w.roll(4) == 0) w.close_one();
    }
}

/// Starts tasks and cancels them at random, until enough has been done.
task<> drive(world& w, long operations) {
    std::array<join_handle<>, 12> actors;
    for (auto& h : actors) h = spawn(act, std::ref(w));
    while (w.operations < operations) {
        co_await sleep_for(w.soon());
        auto& h = actors[w.roll(12)];
        if (w.roll(3) != 0) { // joined
            h.cancel();
            auto r = co_await h.join();
            book->expect(r.error() == errc::cancelled, "a cancelled task ended otherwise");
        }
        h = spawn(act, std::ref(w)); // or dropped
    }
    for (auto& h : actors) h.cancel();
    while (w.live != 0) co_await sleep_for(std::chrono::microseconds(1));
}

template <class Run>
long survive(std::uint64_t seed, long operations, const Run& run) {
    ledger accounts;
    book = &accounts;
    long done = 0;
    {
        world w(seed);
        run([&w, operations]() -> task<> { co_await drive(w, operations); });
        done = w.operations;
        for (auto* list : {&w.open, &w.old})
            for (auto& ch : *list)
                while (auto t = ch.try_recv()) ++accounts.of(t->id()).left;
    }
    CHECK(accounts.wrong == "");
    std::size_t lost = 0, doubled = 0, undead = 0;
    for (const auto& f : accounts.all) {
        lost += f.received + f.left != f.sent || f.sent + f.returned == 0;
        doubled += f.received + f.left + f.returned > 1;
        undead += f.died != 1;
    }
    CHECK(lost == 0);
    CHECK(doubled == 0);
    CHECK(undead == 0);
    book = nullptr;
    return done;
}

} // namespace

TEST_CASE("no value is lost or doubled by a million random operations, timeouts, cancels and closes") {
    long done = 0;
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
        CAPTURE(seed);
        const std::size_t frames = frame_pool::live();
        done += survive(seed, operations_per_seed, [seed](const auto& f) {
            virtual_loop loop(seed);
            loop.run(f);
        });
        REQUIRE(frame_pool::live() == frames);
    }
    CHECK(done >= static_cast<long>(seeds) * operations_per_seed);
}

TEST_CASE("no value is lost or doubled where the process has threads") {
    test_support::as_if_threads_ran threads;
    for (std::uint64_t seed = 101; seed <= 104; ++seed) {
        CAPTURE(seed);
        survive(seed, operations_per_seed, [seed](const auto& f) {
            virtual_loop loop(seed);
            loop.run(f);
        });
    }
}

TEST_CASE("no value is lost or doubled on the event loop") {
    const std::size_t frames = frame_pool::live();
    survive(201, operations_per_seed, [](const auto& f) { CHECK(levada::run(f) == 0); });
    REQUIRE(frame_pool::live() == frames);
}
