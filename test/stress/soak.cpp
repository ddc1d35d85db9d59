// Tasks on several loops, plain threads, selects, timeouts, cancels and closes over a few channels, for as
// long as one likes: every value that was sent is received once, and one that was not sent is still its
// sender's.
//
// Each round makes its channels anew, lets everybody work on them, closes them, joins all, and looks at every
// value that was made. Exit status: 0 all kept, 1 a value was lost or doubled, 2 usage.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string_view>
#include <thread>
#include <vector>

#include <levada/levada.hpp>

#include "soaking.hpp"

using namespace levada;
using namespace std::chrono_literals;
using soaking::dice;
using soaking::number;

namespace {

struct options {
    long seconds = 5;
    long loops = 4;
    long threads = 2;
    long operations = 0; // stop after so many; 0: by time
    std::uint64_t seed = 1;
};

class ledger;

/// A value that knows whether it was received. Move-only.
class coin {
public:
    coin(ledger& book, std::uint32_t id) noexcept : book_(&book), id_(id) {}
    coin(coin&& other) noexcept : book_(std::exchange(other.book_, nullptr)), id_(other.id_) {}
    coin& operator=(coin&& other) noexcept {
        std::swap(book_, other.book_);
        std::swap(id_, other.id_);
        return *this;
    }
    ~coin();
    void spend() noexcept;

private:
    ledger* book_;
    std::uint32_t id_;
};

/// What became of every value of a round.
class ledger {
public:
    static constexpr std::uint32_t most = 1u << 18;

    ledger() : entries_(std::make_unique<entry[]>(most)) {}

    [[nodiscard]] std::uint32_t issue() noexcept { return next_.fetch_add(1, std::memory_order_relaxed); }
    [[nodiscard]] bool full() const noexcept { return next_.load(std::memory_order_relaxed) + 4096 > most; }
    void sent(std::uint32_t id) noexcept { entries_[id].sent.fetch_add(1, std::memory_order_relaxed); }
    void received(std::uint32_t id) noexcept {
        entries_[id].received.fetch_add(1, std::memory_order_relaxed);
    }
    void kept(std::uint32_t id) noexcept { entries_[id].kept.fetch_add(1, std::memory_order_relaxed); }

    /// After everybody was joined. The number of values that were lost or doubled.
    long audit() noexcept {
        long wrong = 0;
        for (std::uint32_t id = 0, n = next_.load(); id < n; ++id) {
            const entry& e = entries_[id];
            const int sent = e.sent.load(), received = e.received.load(), kept = e.kept.load();
            if (sent == 1 ? received == 1 && kept == 0 : sent == 0 && received == 0 && kept == 1) continue;
            if (++wrong <= 5)
                std::fprintf(stderr, "soak: value %u was sent %d times, received %d, kept %d\n", id, sent,
                             received, kept);
        }
        return wrong;
    }

private:
    struct entry {
        std::atomic<std::uint8_t> sent{0}, received{0}, kept{0};
    };
    std::unique_ptr<entry[]> entries_;
    std::atomic<std::uint32_t> next_{0};
};

coin::~coin() {
    if (book_) book_->kept(id_);
}
void coin::spend() noexcept { std::exchange(book_, nullptr)->received(id_); }

using pipe = channel<coin>;

struct world {
    ledger book;
    std::vector<pipe> pipes;
    std::atomic<bool> stop{false};
    std::atomic<long> operations{0};

    world() {
        for (const std::size_t capacity : {0u, 0u, 1u, 3u, 64u}) pipes.emplace_back(capacity);
        pipes.push_back(pipe::unbounded());
    }
    [[nodiscard]] pipe& any(dice& d) noexcept {
        return pipes[d.below(static_cast<std::uint32_t>(pipes.size()))];
    }
    [[nodiscard]] bool over() const noexcept { return stop.load(std::memory_order_relaxed) || book.full(); }
    void count() noexcept { operations.fetch_add(1, std::memory_order_relaxed); }
};

std::chrono::microseconds moment(dice& d) { return std::chrono::microseconds(d.below(60)); }

void take(result<coin>&& r) {
    if (r) r->spend();
}

task<> one_send(world& w, dice& d) {
    const std::uint32_t id = w.book.issue();
    coin c(w.book, id);
    pipe& to = w.any(d);
    bool sent = false;
    switch (d.below(7)) {
        case 0: {
            auto r = co_await with_timeout(moment(d), to.send(std::move(c)));
            sent = r.has_value();
            break;
        }
        case 1: {
            auto s = co_await select(to.send(std::move(c)), w.any(d).recv(), after(moment(d)));
            if (s.index() == 0) sent = s.get<0>().has_value();
            else if (s.index() == 1) take(std::move(s.get<1>()));
            break;
        }
        case 2: {
            auto s = co_await select(to.send(std::move(c)), w.any(d).recv(), otherwise);
            if (s.index() == 0) sent = s.get<0>().has_value();
            else if (s.index() == 1) take(std::move(s.get<1>()));
            break;
        }
        case 3: {
            auto r = to.try_send(std::move(c));
            sent = r.has_value();
            break;
        }
        case 4: {
            auto p = co_await with_timeout(moment(d), to.reserve());
            if (p && d.below(4) != 0) {
                auto r = p->send(std::move(c));
                sent = r.has_value();
            }
            break;
        }
        case 5: {
            auto s = co_await select(to.send(std::move(c)), this_task::token().done());
            if (s.index() == 0) sent = s.get<0>().has_value();
            break;
        }
        default: {
            auto r = co_await to.send(std::move(c));
            sent = r.has_value();
        }
    }
    if (sent) w.book.sent(id);
    w.count();
}

task<> one_recv(world& w, dice& d) {
    pipe& from = w.any(d);
    switch (d.below(6)) {
        case 0: {
            auto r = co_await with_timeout(moment(d), from.recv());
            take(std::move(r));
            break;
        }
        case 1: {
            auto s = co_await select(from.recv(), w.any(d).recv(), after(moment(d)));
            if (s.index() == 0) take(std::move(s.get<0>()));
            else if (s.index() == 1) take(std::move(s.get<1>()));
            break;
        }
        case 2: take(from.try_recv()); break;
        case 3: {
            std::vector<coin> some;
            auto n = co_await with_timeout(moment(d), from.recv_many(some, 8));
            static_cast<void>(n);
            for (coin& c : some) c.spend();
            break;
        }
        case 4: {
            std::vector<decltype(from.recv())> arms;
            for (pipe& p : w.pipes) arms.push_back(p.recv());
            auto s = co_await select(select_range(arms), after(moment(d)));
            if (s.index() == 0) take(std::move(s.get<0>().outcome));
            break;
        }
        default: {
            auto r = co_await from.recv();
            take(std::move(r));
        }
    }
    w.count();
}

task<> worker(world& w, std::uint64_t seed) {
    dice d(seed);
    while (!w.over()) {
        if (d.below(2) == 0) co_await one_send(w, d);
        else co_await one_recv(w, d);
        if (d.below(16) == 0) co_await this_task::yield();
    }
}

/// Runs a worker, cancels it at a bad moment, and starts another.
task<> restarter(world& w, std::uint64_t seed) {
    dice d(seed);
    while (!w.over()) {
        auto h = spawn(worker, std::ref(w), d.below(1u << 30) + 1);
        if (d.below(2) == 0) co_await sleep_for(moment(d) * 4);
        for (std::uint32_t n = d.below(50); n != 0; --n) co_await this_task::yield();
        h.cancel();
        auto r = co_await h.join();
        static_cast<void>(r);
    }
}

/// A worker in a group under a token that a plain thread may cancel, and under a deadline.
task<> in_groups(world& w, std::uint64_t seed, cancel_token token) {
    dice d(seed);
    while (!w.over()) {
        auto r = co_await with_token(token, [&]() -> task<> {
            auto timed = co_await with_timeout(moment(d) * 8, [&]() -> task<> {
                co_await with_group([&](task_group& g) -> task<> {
                    for (std::uint64_t i = 0; i < 3; ++i) g.go(worker, std::ref(w), d.below(1u << 30) + 1);
                    co_await one_recv(w, d);
                    g.cancel();
                });
            });
            static_cast<void>(timed);
        });
        if (!r) co_return; // the token is for good
    }
}

/// Without locks between them, so that plain threads meet tasks everywhere.
void plain_thread(world& w, std::uint64_t seed, cancel_source& source) {
    dice d(seed);
    while (!w.over()) {
        pipe& ch = w.any(d);
        if (d.below(2) == 0) {
            const std::uint32_t id = w.book.issue();
            coin c(w.book, id);
            auto r =
                d.below(2) == 0 ? ch.try_send(std::move(c)) : ch.send_blocking_for(moment(d), std::move(c));
            if (r) w.book.sent(id);
        } else {
            take(d.below(2) == 0 ? ch.try_recv() : ch.recv_blocking_for(moment(d)));
        }
        w.count();
        if (d.below(4096) == 0) source.cancel();
    }
}

task<> one_round(world& w, long plain_threads, std::uint64_t seed, time_point until) {
    std::vector<std::thread> threads;
    cancel_source source;
    for (long i = 0; i < plain_threads; ++i)
        threads.emplace_back(plain_thread, std::ref(w), seed * 131 + static_cast<std::uint64_t>(i) + 1,
                             std::ref(source));
    co_await with_group([&](task_group& g) -> task<> {
        for (std::uint64_t i = 0; i < 6; ++i) g.go(worker, std::ref(w), seed * 1009 + i);
        for (std::uint64_t i = 0; i < 3; ++i) g.go(restarter, std::ref(w), seed * 2003 + i);
        for (std::uint64_t i = 0; i < 2; ++i) g.go(in_groups, std::ref(w), seed * 3001 + i, source.token());
        while (!w.over() && now() < until) co_await sleep_for(1ms);
        w.stop = true;
        for (pipe& p : w.pipes) p.close();
    });
    for (std::thread& t : threads) t.join(); // they have seen `stop`
    for (pipe& p : w.pipes)
        for (auto c = p.try_recv(); c; c = p.try_recv()) c->spend();
}

constexpr const char* usage =
    "usage: soak [--seconds N] [--operations N] [--loops N] [--threads N] [--seed N]\n"
    "  --seconds N     how long (5)\n"
    "  --operations N  or until so many sends and receives were tried; 0: by time alone\n"
    "  --loops N       event loops, each on a thread (4)\n"
    "  --threads N     plain threads beside them (2)\n"
    "  --seed N        of the first round (1)\n";

int soak(const options& o) {
    const auto begin = std::chrono::steady_clock::now();
    const auto end = begin + std::chrono::seconds(o.seconds);
    auto told = begin;
    long operations = 0, rounds = 0, wrong = 0;
    for (std::uint64_t seed = o.seed; wrong == 0; ++seed, ++rounds) {
        const auto now = std::chrono::steady_clock::now();
        if (o.operations != 0 ? operations >= o.operations : now >= end) break;
        if (now - told >= 10s) {
            std::fprintf(stderr, "soak: %ld rounds, %ld operations\n", rounds, operations);
            told = now;
        }
        world w;
        {
            runtime rt({.loops = static_cast<std::size_t>(o.loops), .eager = true});
            rt.run(one_round, std::ref(w), o.threads, seed, now + 200ms);
        }
        wrong = w.book.audit();
        operations += w.operations;
        if (wrong != 0)
            std::fprintf(stderr, "soak: seed %lu: %ld values wrong\n", static_cast<unsigned long>(seed),
                         wrong);
    }
    std::printf("%ld rounds, %ld operations, %ld values lost or doubled\n", rounds, operations, wrong);
    return wrong == 0 ? 0 : 1;
}

} // namespace

int main(int argc, char** argv) {
    options o;
    long seed = 1;
    for (int i = 1; i < argc; ++i) {
        const std::string_view name = argv[i];
        if (name == "--help") {
            std::fputs(usage, stdout);
            return 0;
        }
        long* into = name == "--seconds"      ? &o.seconds
                     : name == "--operations" ? &o.operations
                     : name == "--loops"      ? &o.loops
                     : name == "--threads"    ? &o.threads
                     : name == "--seed"       ? &seed
                                              : nullptr;
        if (!into || i + 1 == argc || !number(argv[++i], *into)) {
            std::fprintf(stderr, "soak: %s: an option and a number are wanted\n%s", argv[i], usage);
            return 2;
        }
    }
    o.seed = static_cast<std::uint64_t>(seed);
    return soak(o);
}
