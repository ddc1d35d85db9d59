// Fails the n-th allocation, for n = 0, 1, 2, ..., alone or with all that follow it, in a table of scenes.
// Each scene ends well, or with bad_alloc, or with an outcome; a few may end the program, with words of ours.
// Nothing is leaked.
//
//     no_memory [SCENE]
//
// It has its own operator new, and is linked with --wrap for frame_pool::allocate, mmap, and where liburing
// enters the kernel. Each try is a process.

#include <liburing.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include <levada/levada.hpp>

using namespace levada;
using namespace std::chrono_literals;

namespace {

constexpr long never = -1;
std::atomic<long> left{never}; // allocations until one fails
std::atomic<bool> all_fail{false};
std::atomic<bool> failed{false};
std::atomic<long> live{0};

bool fails() noexcept {
    if (left.load() == never) return false;
    if (left.load() > 0) {
        left.fetch_sub(1);
        return false;
    }
    if (!all_fail.load()) left.store(never);
    failed.store(true);
    return true;
}

void* take(std::size_t size, std::size_t alignment) noexcept {
    if (fails()) return nullptr;
    void* const p = std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
    if (p) live.fetch_add(1);
    return p;
}
void* take_or_throw(std::size_t size, std::size_t alignment) {
    void* const p = take(size == 0 ? 1 : size, alignment);
    if (!p) throw std::bad_alloc();
    return p;
}
void give(void* p) noexcept {
    if (!p) return;
    live.fetch_sub(1);
    std::free(p);
}
constexpr std::size_t usual = __STDCPP_DEFAULT_NEW_ALIGNMENT__;
std::size_t of(std::align_val_t a) noexcept { return static_cast<std::size_t>(a); }

} // namespace

void* operator new(std::size_t n) { return take_or_throw(n, usual); }
void* operator new[](std::size_t n) { return take_or_throw(n, usual); }
void* operator new(std::size_t n, std::align_val_t a) { return take_or_throw(n, of(a)); }
void* operator new[](std::size_t n, std::align_val_t a) { return take_or_throw(n, of(a)); }
void* operator new(std::size_t n, const std::nothrow_t&) noexcept { return take(n, usual); }
void* operator new[](std::size_t n, const std::nothrow_t&) noexcept { return take(n, usual); }
void* operator new(std::size_t n, std::align_val_t a, const std::nothrow_t&) noexcept {
    return take(n, of(a));
}
void* operator new[](std::size_t n, std::align_val_t a, const std::nothrow_t&) noexcept {
    return take(n, of(a));
}
void operator delete(void* p) noexcept { give(p); }
void operator delete[](void* p) noexcept { give(p); }
void operator delete(void* p, std::size_t) noexcept { give(p); }
void operator delete[](void* p, std::size_t) noexcept { give(p); }
void operator delete(void* p, std::align_val_t) noexcept { give(p); }
void operator delete[](void* p, std::align_val_t) noexcept { give(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { give(p); }
void operator delete[](void* p, std::size_t, std::align_val_t) noexcept { give(p); }

// frame_pool::allocate
extern "C" void* __real__ZN6levada10frame_pool8allocateEm(std::size_t);
extern "C" void* __wrap__ZN6levada10frame_pool8allocateEm(std::size_t n) {
    if (fails()) throw std::bad_alloc();
    return __real__ZN6levada10frame_pool8allocateEm(n);
}

extern "C" void* __real_mmap(void*, std::size_t, int, int, int, ::off_t);
extern "C" void* __wrap_mmap(void* at, std::size_t n, int protection, int flags, int fd, ::off_t offset) {
    if (!fails()) return __real_mmap(at, n, protection, flags, fd, offset);
    errno = ENOMEM;
    return MAP_FAILED;
}

// How often the kernel has no memory when it is entered.
std::atomic<long> refusals{0};
bool refused() noexcept { return refusals.load() > 0 && refusals.fetch_sub(1) > 0; }

extern "C" int __real_io_uring_submit_and_get_events(io_uring*);
extern "C" int __wrap_io_uring_submit_and_get_events(io_uring* r) {
    return refused() ? -ENOMEM : __real_io_uring_submit_and_get_events(r);
}
extern "C" int __real_io_uring_submit_and_wait(io_uring*, unsigned);
extern "C" int __wrap_io_uring_submit_and_wait(io_uring* r, unsigned n) {
    return refused() ? -ENOMEM : __real_io_uring_submit_and_wait(r, n);
}
extern "C" int __real_io_uring_submit_and_wait_timeout(io_uring*, io_uring_cqe**, unsigned,
                                                       __kernel_timespec*, sigset_t*);
extern "C" int __wrap_io_uring_submit_and_wait_timeout(io_uring* r, io_uring_cqe** c, unsigned n,
                                                       __kernel_timespec* t, sigset_t* s) {
    return refused() ? -ENOMEM : __real_io_uring_submit_and_wait_timeout(r, c, n, t, s);
}

namespace {

void need(bool right, const char* what) {
    if (right) return;
    std::fprintf(stderr, "no_memory: %s\n", what);
    std::_Exit(1);
}

constexpr auto a_hang = 30s; // what has come is there, or is told to be lost, long before
bool none(const std::error_code& e) { return e == std::errc::not_enough_memory; }

task<> nothing() { co_return; }
task<int> one() { co_return 1; }
task<int> after_a_turn() {
    co_await this_task::yield();
    co_return 1;
}

// Scenes: a bad_alloc that leaves one is caught outside.

task<> group_body(task_group& g) {
    for (int i = 0; i < 3; ++i) g.go(after_a_turn);
    co_await this_task::yield();
}
task<> with_a_group() { co_await with_group(group_body); }

task<> with_a_token() {
    cancel_source s;
    const auto r = co_await with_token(s.token(), after_a_turn);
    need(r && *r == 1, "with_token: not the value");
}
task<> with_a_timeout() {
    const auto r = co_await with_timeout(1h, after_a_turn);
    need(r && *r == 1, "with_timeout: not the value");
    const auto late = co_await with_timeout(1ms, []() -> task<> { co_await sleep_for(1h); });
    need(!late, "with_timeout: an hour has passed");
}
task<> with_a_shield() { need(co_await shield(after_a_turn) == 1, "shield: not the value"); }
task<> with_a_value() {
    static constexpr task_local<std::string> key;
    const auto n = co_await key.with("a string that is longer than what fits inside", after_a_turn);
    need(n == 1, "task_local: not the value");
}
task<> spawning() {
    auto h = spawn(after_a_turn);
    const auto r = co_await h.join();
    need(r && *r == 1, "spawn: not the value");
}
task<> going() {
    go(nothing);
    co_await this_task::yield();
}
task<> open_group() {
    task_group g;
    std::exception_ptr e;
    try {
        for (int i = 0; i < 3; ++i) g.go(after_a_turn);
    } catch (...) {
        e = std::current_exception();
    }
    co_await g.wait();
    if (e) std::rethrow_exception(e);
}
task<> failing() {
    co_await this_task::yield();
    throw std::runtime_error("failed");
}
task<> failing_children() {
    try {
        co_await with_group([](task_group& g) -> task<> {
            for (int i = 0; i < 3; ++i) g.go(failing);
            co_return;
        });
        need(false, "with_group: a child failed");
    } catch (const std::runtime_error&) {
    }
}
task<> told_failures() {
    co_await with_group([](task_group& g) -> task<> {
        g.on_failure([](std::exception_ptr) {});
        for (int i = 0; i < 3; ++i) g.go(failing);
        co_return;
    });
}
task<> limited_group() {
    co_await with_group([](task_group& g) -> task<> {
        g.limit(1);
        for (int i = 0; i < 3; ++i) co_await g.start(after_a_turn);
        std::ignore = g.try_go(one);
    });
}
task<> waiting_group() {
    wait_group wg;
    std::exception_ptr e;
    try {
        for (int i = 0; i < 3; ++i) wg.go(after_a_turn);
        wg.go(failing);
    } catch (...) {
        e = std::current_exception();
    }
    try {
        co_await wg.wait();
    } catch (const std::runtime_error&) {
    }
    if (e) std::rethrow_exception(e);
}
task<> all_and_any() {
    const auto all = co_await when_all(after_a_turn, one);
    need(*std::get<0>(all) == 1, "when_all: not the value");
    const auto first = co_await when_any(after_a_turn, one);
    need(first.index() < 2, "when_any: nobody");
}
task<> large_selects() {
    std::vector<channel<int>> chs;
    for (int i = 0; i < 40; ++i) chs.emplace_back(1);
    std::vector<decltype(chs[0].recv())> arms;
    arms.reserve(chs.size());
    for (auto& c : chs) arms.push_back(c.recv());
    const auto first = co_await select(select_range(arms), otherwise);
    need(first.index() == 1, "select: out of nothing");
    std::vector<decltype(chs[0].recv())> again;
    again.reserve(chs.size());
    for (auto& c : chs) again.push_back(c.recv());
    const auto second = co_await select(select_range(again), after(1ms));
    need(second.index() == 1, "select: no timeout");
}
// It knows whether it was moved away.
struct thing {
    thing() noexcept = default;
    thing(thing&& other) noexcept : here(std::exchange(other.here, false)) {}
    thing& operator=(thing&& other) noexcept {
        here = std::exchange(other.here, false);
        return *this;
    }
    ~thing() = default;
    bool here = true;
    std::array<char, 500> rest{};
};
task<> unbounded_sends() {
    auto ch = channel<thing>::unbounded();
    thing value;
    int sent = 0;
    const auto count = [&](const result<void>& r, const char* what) {
        need(r ? !value.here : none(r.error()) && value.here, what);
        if (r) ++sent;
        value.here = true;
    };
    for (int i = 0; i < 30; ++i) {
        const auto r = co_await ch.send(std::move(value));
        count(r, "send: not as it said");
        count(ch.try_send(std::move(value)), "try_send: not as it said");
    }
    std::vector<permit<thing>> places;
    places.reserve(30);
    for (int i = 0; i < 30; ++i) {
        auto p = co_await ch.reserve();
        if (p) places.push_back(std::move(*p));
        else need(none(p.error()), "reserve: not for want of memory");
    }
    for (int i = 0; i < 10; ++i) count(ch.try_send(std::move(value)), "try_send: not as it said");
    for (auto& p : places) {
        const auto r = p.send(std::move(value));
        need(bool(r), "permit: there is no memory for what was reserved");
        count(r, "permit: not as it said");
    }
    while (ch.size() != 0) {
        const auto r = co_await ch.recv();
        need(r && r->here, "recv: nothing there");
        --sent;
    }
    need(sent == 0, "a value was lost");
}
task<> ticking() {
    {
        auto t = ticker(1ms);
        const auto tick = co_await t.recv();
        need(bool(tick), "ticker: closed");
    }
    co_await this_task::yield();
}
task<> sources() {
    cancel_source parent(1h);
    cancel_source child(30min, parent.token());
    int called = 0;
    cancel_callback call(child.token(), [&called]() noexcept { ++called; });
    parent.cancel();
    const auto why = co_await or_cancelled(child.token().done());
    need(why && called == 1, "cancel: not told");
}
task<> fanning_out() {
    std::vector<int> items{1, 2, 3};
    auto twice = [](int n) -> task<int> {
        co_await this_task::yield();
        co_return 2 * n;
    };
    const auto all = co_await fan_out(std::move(items), twice, 2);
    need(all.size() == 3 && all[2] == 6, "fan_out: not all");
}
task<> working() {
    channel<int> jobs(3), results(3);
    for (int i = 0; i < 3; ++i) std::ignore = jobs.try_send(i);
    jobs.close();
    co_await worker_pool(2, jobs, results, [](int n) { return n; });
    int n = 0;
    while (auto r = co_await results.recv()) ++n;
    need(n == 3, "worker_pool: not all");
}
task<> once_and_ends() {
    once o;
    co_await o.call(after_a_turn);
    auto [tx, rx] = make_ends<int>(1);
    const auto sent = co_await tx.send(1);
    const auto got = co_await rx.recv();
    need(sent && got, "ends: closed");
}

// Connections and bytes come while nobody waits for them.
task<> tcp() {
    auto listener = tcp_listener::bind("127.0.0.1:0");
    if (!listener) throw std::system_error(listener.error());
    std::vector<tcp_stream> clients;
    clients.reserve(3);
    for (int i = 0; i < 3; ++i) {
        auto c = co_await tcp_stream::connect(listener->local_address().to_string());
        if (!c) throw std::system_error(c.error());
        clients.push_back(std::move(*c));
        const auto sent = co_await clients.back().write_all("ping");
        need(bool(sent), "tcp: not written");
    }
    for (int i = 0; i < 3; ++i) {
        auto a = co_await with_timeout(200ms, listener->accept());
        if (!a) {
            need(none(a.error()) || a.error() == errc::timed_out, "accept: failed for another reason");
            continue;
        }
        const auto bytes = co_await with_timeout(a_hang, a->receive());
        if (bytes) need(bytes->text() == "ping", "receive: not what was sent");
        else need(none(bytes.error()), "receive: failed for another reason");
    }
}
task<> kept_pieces() {
    auto both = unix_stream::pair();
    if (!both) throw std::system_error(both.error());
    auto& [from, to] = *both;
    std::string all, got;
    // The first receive has the kernel receive ahead of who asks.
    for (int i = 0; i < 10; ++i) {
        const std::string piece = std::to_string(i);
        const auto sent = co_await from.write_all(std::string_view(piece));
        need(bool(sent), "stream: not written");
        all += piece;
        if (i % 5 != 0) continue;
        auto bytes = co_await to.receive();
        if (!bytes) {
            need(none(bytes.error()), "receive: failed for another reason");
            co_return;
        }
        got += bytes->text();
        for (int turns = 0; turns < 3; ++turns) co_await this_task::yield();
        co_await sleep_for(1ms);
    }
    while (got.size() < all.size()) {
        auto bytes = co_await to.receive();
        if (!bytes) {
            need(none(bytes.error()), "receive: failed for another reason");
            break;
        }
        got += bytes->text();
    }
    need(all.starts_with(got), "receive: a piece is missing in between");
}

// The kernel has read when another arm wins: the bytes are kept, or the next read says that they are lost.
task<> late_reads() {
    auto both = unix_stream::pair();
    if (!both) throw std::system_error(both.error());
    auto& [from, to] = *both;
    channel<int> other(1);
    std::array<char, 16> bytes{};
    co_await with_group([&](task_group& g) -> task<> {
        g.go([&]() -> task<> {
            auto s = co_await select(to.read(std::span<char>(bytes)), other.recv());
            if (s.index() == 0) {
                need(get<0>(s).has_value(), "read: failed");
                co_return;
            }
            auto n = co_await with_timeout(a_hang, to.read(std::span<char>(bytes)));
            if (n) need(*n == 4 && bytes[0] == 'p', "read: not what was sent");
            else need(none(n.error()), "read: failed for another reason");
        });
        co_await this_task::yield();
        const auto sent = co_await from.write_all("ping");
        need(bool(sent), "stream: not written");
        need(bool(other.try_send(1)), "channel: not sent");
    });
}
task<> late_datagrams() {
    auto mine = udp_socket::bind("127.0.0.1:0");
    auto theirs = udp_socket::bind("127.0.0.1:0");
    if (!mine || !theirs) throw std::system_error(mine ? theirs.error() : mine.error());
    channel<int> other(1);
    std::array<std::byte, 16> bytes{};
    co_await with_group([&](task_group& g) -> task<> {
        g.go([&]() -> task<> {
            auto s = co_await select(mine->recv_from(std::span<std::byte>(bytes)), other.recv());
            if (s.index() == 0) {
                need(get<0>(s).has_value(), "recv_from: failed");
                co_return;
            }
            auto d = co_await with_timeout(a_hang, mine->recv_from(std::span<std::byte>(bytes)));
            if (d) need(d->size == 4, "recv_from: not what was sent");
            else need(none(d.error()), "recv_from: failed for another reason");
        });
        co_await this_task::yield();
        const auto sent = co_await theirs->send_to("ping", mine->local_address().value());
        need(bool(sent), "datagram: not sent");
        need(bool(other.try_send(1)), "channel: not sent");
    });
}
task<> offloading() {
    const auto text =
        co_await offload([] { return std::string("longer than what fits into the string itself"); });
    need(text.size() == 44, "offload: not the value");
}
task<> looking_up() { // whatever the system answers
    static_cast<void>(co_await resolve("localhost", 80));
}

task<> many_pieces() {
    constexpr std::size_t size = 2000;
    std::vector<void*> pieces;
    pieces.reserve(200);
    const defer back([&pieces] {
        for (void* p : pieces) frame_pool::deallocate(p, size);
    });
    for (std::size_t i = 0; i < pieces.capacity(); ++i) pieces.push_back(frame_pool::allocate(size));
    co_return;
}

void run_scene(task<> (*scene)(), std::size_t loops) {
    runtime rt({.loops = loops, .eager = loops > 1});
    rt.run(scene);
}
task<> a_nap() { co_await sleep_for(1ms); }
void a_loop() {
    event_loop loop;
    loop.go(nothing);
    loop.run();
    loop.go(nothing);
    loop.run();
}
void a_runtime() { run_scene(all_and_any, 4); }
// Each thread of a runtime gets its pool of frames, which the next one finds.
void warm_up_threads() {
    runtime rt({.loops = 4, .eager = true});
    rt.run([&rt]() -> task<> {
        for (std::size_t i = 0; i < rt.size(); ++i) {
            auto h = spawn_on(rt.loop(i), one);
            std::ignore = co_await h.join();
        }
    });
}
void a_runtime_that_is_left() {
    run_scene(
        []() -> task<> {
            go([]() -> task<> { co_await sleep_for(1h); });
            co_return;
        },
        1);
}

struct scene {
    std::string_view name;
    task<> (*of_task)();
    void (*of_thread)() = nullptr;
    std::string_view last_words = {}; // with which it may end the program
};
constexpr std::string_view nobody_joins = "an exception left a task that nobody joins: std::bad_alloc";
const std::array scenes{
    scene{"with_group", with_a_group},
    scene{"with_token", with_a_token},
    scene{"with_timeout", with_a_timeout},
    scene{"shield", with_a_shield},
    scene{"task_local", with_a_value},
    scene{"spawn", spawning},
    scene{"go", going, nullptr, nobody_joins},
    scene{"group", open_group},
    scene{"failures", failing_children},
    scene{"on_failure", told_failures},
    scene{"start", limited_group},
    scene{"wait_group", waiting_group},
    scene{"when", all_and_any},
    scene{"select", large_selects},
    scene{"unbounded", unbounded_sends},
    scene{"ticker", ticking},
    scene{"source", sources},
    scene{"fan_out", fanning_out},
    scene{"worker_pool", working},
    scene{"once", once_and_ends},
    scene{"slabs", many_pieces},
    scene{"tcp", tcp},
    scene{"pieces", kept_pieces},
    scene{"late_reads", late_reads},
    scene{"late_datagrams", late_datagrams},
    scene{"offload", offloading},
    scene{"resolve", looking_up},
    scene{"event_loop", nullptr, a_loop, nobody_joins},
    scene{"runtime", nullptr, a_runtime},
    scene{"left", nullptr, a_runtime_that_is_left, nobody_joins},
};

void begin_to_fail(long n, bool all) {
    all_fail = all;
    failed = false;
    left = n;
}

// The scene in a task: what fails lies within it.
struct inside {
    static inline task<> (*what)() = nullptr;
    static inline long n = never;
    static inline bool all = false;
};
task<> scene_inside() {
    begin_to_fail(inside::n, inside::all);
    try {
        co_await inside::what();
    } catch (const std::bad_alloc&) {
    } catch (const std::system_error& e) {
        need(none(e.code()), e.what());
    }
    left = never;
    for (int i = 0; i < 3; ++i) co_await this_task::yield();
}

void try_once(const scene& s, long n, bool all) {
    if (s.of_task) {
        inside::what = s.of_task;
        inside::n = n;
        inside::all = all;
        run_scene(scene_inside, 1);
    } else {
        begin_to_fail(n, all);
        try {
            s.of_thread();
        } catch (const std::bad_alloc&) {
        } catch (const std::system_error& e) {
            need(none(e.code()), e.what());
        }
    }
    left = never;
}

constexpr int beyond = 77; // no allocation was left to fail

// In a process of its own: 0, `beyond`, or how it ended otherwise, with what it said.
int in_a_process(const scene& s, long n, bool all, std::string& said) {
    std::array<int, 2> ends{};
    need(::pipe(ends.data()) == 0, "no pipe");
    const ::pid_t child = ::fork();
    need(child >= 0, "no process");
    if (child == 0) {
        ::dup2(ends[1], STDERR_FILENO);
        ::close(ends[0]);
        ::alarm(60);
        if (s.of_thread) warm_up_threads();
        try_once(s, never, false); // what is made once and stays
        const long before = live;
        const std::size_t frames = frame_pool::live();
        try_once(s, n, all);
        need(frame_pool::live() == frames, "pieces of the frame pool were lost");
        need(live <= before, "memory was lost");
        std::_Exit(failed ? 0 : beyond);
    }
    ::close(ends[1]);
    std::array<char, 4096> piece{};
    for (;;) {
        const ::ssize_t got = ::read(ends[0], piece.data(), piece.size());
        if (got <= 0) break;
        said.append(piece.data(), static_cast<std::size_t>(got));
    }
    ::close(ends[0]);
    int status = 0;
    need(::waitpid(child, &status, 0) == child, "no end of a process");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

bool run(const scene& s, bool all) {
    bool right = true;
    long n = 0;
    for (;; ++n) {
        std::string said;
        const int status = in_a_process(s, n, all, said);
        if (status == beyond) break;
        if (status == 0) continue;
        if (!s.last_words.empty() && said.find(s.last_words) != said.npos) continue;
        std::printf("%s: allocation %ld%s: ended with %d: %s\n", std::string(s.name).c_str(), n,
                    all ? " and all after it" : "", status, said.c_str());
        right = false;
        if (n > 100'000) break;
    }
    std::printf("%s%s: %ld allocations\n", std::string(s.name).c_str(), all ? ", all after it" : "", n);
    std::fflush(stdout);
    return right && n > 0;
}

// The kernel has no memory for a while, and for good.
bool kernel_without_memory() {
    std::string said;
    const auto nap = [] { run_scene(a_nap, 1); };
    const scene tries{"kernel", nullptr, nap};
    refusals = 20;
    const int borne = in_a_process(tries, never, false, said);
    refusals = 1'000'000;
    const int given_up = in_a_process(tries, never, false, said);
    refusals = 0;
    const bool right = borne == beyond && given_up == 128 + SIGABRT &&
                       said.find("io_uring_enter failed, again and again") != said.npos;
    if (!right) std::printf("kernel: ended with %d, %d: %s\n", borne, given_up, said.c_str());
    return right;
}

} // namespace

int main(int argc, char** argv) {
    bool right = true;
    int n = 0;
    if (argc < 2) right = kernel_without_memory();
    for (const scene& s : scenes) {
        if (argc > 1 && s.name != argv[1]) continue;
        ++n;
        right = run(s, false) && right;
        right = run(s, true) && right;
    }
    return right && n > 0 ? 0 : 1;
}
