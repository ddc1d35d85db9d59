// Streams that receive by multishot: what the kernel brings by itself has to reach whoever asks, whole and in
// order, through cancels, limits, and the ends of streams and loops.

#include "on_the_loop.hpp"

#include <levada/cancel/source.hpp>
#include <levada/channel/channel.hpp>
#include <levada/channel/select.hpp>
#include <levada/debug/dump.hpp>
#include <levada/io/byte_pipe.hpp>
#include <levada/io/tcp.hpp>
#include <levada/io/unix.hpp>
#include <levada/loop/event_loop.hpp>
#include <levada/loop/guest_ring.hpp>
#include <levada/loop/runtime.hpp>
#include <levada/sync/timer.hpp>
#include <levada/task/spawn.hpp>
#include <levada/task/this_task.hpp>
#include <levada/task/timeout.hpp>
#include <levada/task/with_group.hpp>

#include <catch2/catch_test_macros.hpp>

#include <netinet/in.h>
#include <sys/single_threaded.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace levada;
using namespace std::chrono_literals;
using test_support::on_the_loop;
using test_support::run_to_death;
using test_support::send_now;
using test_support::until_parked;

namespace {

std::string pattern(std::size_t n) {
    std::string s(n, '\0');
    for (std::size_t i = 0; i < n; ++i) s[i] = static_cast<char>('a' + (i * 31 + i / 257) % 26);
    return s;
}

std::pair<unix_stream, unix_stream> pair_of_streams() {
    auto both = unix_stream::pair();
    REQUIRE(both);
    return std::move(*both);
}

template <class Stream>
task<std::string> receive_to_end(Stream& s) {
    std::string all;
    while (auto piece = co_await s.receive()) all += piece->text();
    co_return all;
}

template <class Stream>
task<std::string> receive_exactly(Stream& s, std::size_t n) {
    std::string all;
    while (all.size() < n) {
        auto piece = co_await s.receive();
        REQUIRE(piece);
        all += piece->text();
    }
    co_return all;
}

} // namespace

IO_TASK("what is received arrives whole and in order, up to the end of the stream") {
    auto ends = pair_of_streams();
    auto reader = spawn([&]() -> task<std::string> { co_return co_await receive_to_end(ends.second); });
    std::string sent;
    for (std::size_t n = 1; n < 60'000; n = n * 3 + 1) {
        const std::string piece = pattern(n);
        auto written = co_await ends.first.write_all(piece);
        REQUIRE(written);
        sent += piece;
    }
    ends.first = pair_of_streams().first; // closes it
    auto got = co_await reader.join();
    CHECK(got == sent);
    auto again = co_await ends.second.receive();
    CHECK((!again && again.error() == errc::closed)); // it goes on being the end
}

IO_TASK("a receive that loses its select, or is cancelled, leaves the bytes for the next") {
    auto ends = pair_of_streams();
    channel<int> other(1);
    std::string sent, got;
    for (int i = 0; i < 300; ++i) {
        auto reader = spawn([&]() -> task<> {
            auto s = co_await select(ends.second.receive(), other.recv());
            if (s.index() == 0) {
                REQUIRE(s.get<0>());
                got += s.get<0>()->text();
            }
        });
        for (int turns = i % 5; turns > 0; --turns) co_await this_task::yield();
        sent += static_cast<char>('a' + i % 26);
        send_now(ends.first, std::string_view(sent).substr(sent.size() - 1));
        if (i % 3 == 0) std::ignore = other.try_send(1);
        for (int turns = i % 7; turns > 0; --turns) co_await this_task::yield();
        if (i % 2 == 0) reader.cancel();
        auto limited = co_await with_timeout(0ms, ends.second.receive());
        if (limited) got += limited->text();
        static_cast<void>(co_await reader.join());
        std::ignore = other.try_recv();
    }
    got += co_await receive_exactly(ends.second, sent.size() - got.size());
    CHECK(got == sent);
}

IO_TASK("a peer that sends and sends to a stream that nobody reads has to wait, and nothing is lost") {
    auto ends = pair_of_streams();
    const std::string much = pattern(8 << 20);
    auto first = spawn([&]() -> task<result<io_buffer>> { co_return co_await ends.second.receive(); });
    co_await until_parked(first);
    auto writer = spawn([&]() -> task<> {
        auto written = co_await ends.first.write_all(much);
        REQUIRE(written);
        ends.first = pair_of_streams().first; // closes it
    });
    auto piece = co_await first.join();
    REQUIRE(piece);
    std::string got(piece->text());
    // Far more turns than the kernel needs to bring all that it will.
    for (int i = 0; i < 20'000; ++i) co_await this_task::yield();
    co_await test_support::until_all_parked();
    CHECK(test_support::is_parked(writer));
    got += co_await receive_to_end(ends.second);
    CHECK(got == much);
    static_cast<void>(co_await writer.join());
}

IO_TASK("who keeps more buffers than the kernel's pool has goes on receiving") {
    auto ends = pair_of_streams();
    std::vector<io_buffer> kept;
    std::string sent, got;
    for (int i = 0; i < 1'300; ++i) {
        const auto letter = static_cast<char>('a' + i % 26);
        sent += letter;
        send_now(ends.first, std::string_view(&letter, 1));
        auto piece = co_await ends.second.receive();
        REQUIRE(piece);
        CHECK(piece->size() == 1);
        kept.push_back(std::move(*piece));
    }
    for (const io_buffer& b : kept) got += b.text();
    CHECK(got == sent);
    kept.clear();
    send_now(ends.first, "after");
    const std::string after = co_await receive_exactly(ends.second, 5);
    CHECK(after == "after");
}

IO_TASK("a read takes what was received and not taken, and is refused while the kernel receives by itself") {
    auto ends = pair_of_streams();
    send_now(ends.first, "one");
    auto piece = co_await ends.second.receive();
    REQUIRE(piece);
    CHECK(piece->text() == "one");
    std::array<char, 2> small{};
    auto refused = co_await ends.second.read(small);
    CHECK((!refused && refused.error() == std::errc::device_or_resource_busy));
    send_now(ends.first, "twos");
    // A receive that loses has the kernel's bytes brought.
    for (bool there = false; !there;) {
        auto n = co_await ends.second.read(small);
        there = n.has_value();
        if (n) CHECK(std::string_view(small.data(), *n) == "tw");
        else co_await this_task::yield();
    }
    auto rest = co_await ends.second.receive();
    REQUIRE(rest);
    CHECK(rest->text() == "os");
    ends.first = pair_of_streams().first;
    auto end = co_await ends.second.receive();
    CHECK((!end && end.error() == errc::closed));
    auto n = co_await ends.second.read(small);
    CHECK(test_support::holds(n, 0u)); // the end is no longer the receiver's
}

IO_TASK("a receive begins with what a losing read has kept") {
    auto ends = pair_of_streams();
    std::array<char, 8> buffer{};
    std::string got, sent;
    for (int i = 0; i < 50; ++i) {
        auto reader = spawn([&]() -> task<> {
            auto n = co_await ends.second.read(buffer);
            REQUIRE(n);
            got.append(buffer.data(), *n);
        });
        for (int turns = i % 4; turns > 0; --turns) co_await this_task::yield();
        sent += static_cast<char>('a' + i % 26);
        send_now(ends.first, std::string_view(sent).substr(sent.size() - 1));
        for (int turns = i % 3; turns > 0; --turns) co_await this_task::yield();
        reader.cancel();
        static_cast<void>(co_await reader.join());
    }
    got += co_await receive_exactly(ends.second, sent.size() - got.size());
    CHECK(got == sent);
}

IO_TASK("a pipe receives too, once a call") {
    auto made = byte_pipe::open();
    REQUIRE(made);
    auto reader = spawn([&]() -> task<std::string> { co_return co_await receive_to_end(made->reader); });
    for (int i = 0; i < 10; ++i) {
        auto written = co_await made->writer.write_all("ten bytes.");
        REQUIRE(written);
    }
    made->writer = std::move(byte_pipe::open()->writer); // closes it
    auto got = co_await reader.join();
    REQUIRE(got);
    CHECK(got->size() == 100);
}

IO_TASK("a reset is told once, by the receive that meets it") {
    auto w = co_await test_support::connected();
    std::optional<tcp_stream> near(std::move(w.near));
    auto reader = spawn([&]() -> task<result<io_buffer>> { co_return co_await w.far.receive(); });
    co_await until_parked(reader);
    const linger at_once{1, 0};
    ::setsockopt(near->native_handle(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    near.reset(); // closes it
    auto got = co_await reader.join();
    CHECK((!got && got.error() == std::errc::connection_reset));
    auto after = co_await w.far.receive();
    CHECK((!after && after.error() == errc::closed));
}

TEST_CASE("a stream that is closed with the kernel still receiving ends for its peer") {
    on_the_loop([]() -> task<> {
        for (int way = 0; way < 3; ++way) {
            auto ends = pair_of_streams();
            std::optional<unix_stream> mine(std::move(ends.second));
            auto reader = spawn([&]() -> task<> { static_cast<void>(co_await mine->receive()); });
            co_await until_parked(reader);
            reader.cancel();
            static_cast<void>(co_await reader.join());
            if (way == 1) send_now(ends.first, "unread");
            if (way == 2) {
                const auto closed = co_await mine->close();
                CHECK(closed);
            }
            mine.reset();
            auto end = co_await ends.first.receive();
            CHECK(!end); // closed, or reset where something was unread
        }
    });
}

// Where the kernel loses it, as some do, nothing but a look at the descriptor tells.
TEST_CASE("an end that comes right behind the last bytes of a stream is not missed") {
    constexpr int rounds = 3'000;
    channel<int> given(1);
    std::thread peer([&] {
        while (auto fd = given.recv_blocking())
            if (::write(*fd, "hello", 5) != 5 || ::close(*fd) != 0) std::abort();
    });
    int ended = 0;
    levada::run([&]() -> task<> {
        for (; ended < rounds; ++ended) {
            std::array<int, 2> fd{};
            REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, fd.data()) == 0);
            byte_stream mine(descriptor(fd[1]), true);
            auto reader = spawn([&]() -> task<std::string> { co_return co_await receive_to_end(mine); });
            co_await until_parked(reader);
            auto gave = co_await given.send(fd[0]);
            REQUIRE(gave);
            auto all = co_await select(reader.join(), after(20s));
            if (all.index() == 1) {
                reader.cancel();
                static_cast<void>(co_await reader.join());
                break;
            }
            CHECK(get<0>(all).value() == "hello");
        }
        given.close();
    });
    peer.join();
    CHECK(ended == rounds);
}

TEST_CASE("a reset that comes right behind the last bytes of a stream is not missed") {
    constexpr int rounds = 20'000;
    auto listener = tcp_listener::bind("127.0.0.1:0");
    REQUIRE(listener);
    const auto port = listener->local_address().port();
    std::thread peer([&] {
        for (int i = 0; i < rounds; ++i) {
            const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
            sockaddr_in to{};
            to.sin_family = AF_INET;
            to.sin_port = htons(port);
            to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
            const linger reset{1, 0};
            if (::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof(to)) != 0 ||
                ::write(fd, "hello", 5) != 5 ||
                ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)) != 0 || ::close(fd) != 0)
                std::abort();
        }
    });
    int ended = 0;
    levada::run([&]() -> task<> {
        co_await with_group([&](task_group& g) -> task<> {
            for (int i = 0; i < rounds; ++i) {
                auto s = co_await listener->accept();
                REQUIRE(s);
                g.go([&, s = std::move(*s)]() mutable -> task<> {
                    static_cast<void>(co_await receive_to_end(s));
                    ++ended;
                });
            }
            auto all = co_await select(g.wait(), after(20s));
            if (all.index() == 1) g.cancel();
        });
    });
    peer.join();
    CHECK(ended == rounds);
}

TEST_CASE("buffers outlive their stream and their loop, and go back on any thread") {
    std::vector<io_buffer> kept;
    {
        event_loop loop;
        loop.go([&]() -> task<> {
            auto ends = pair_of_streams();
            for (int i = 0; i < 40; ++i) {
                send_now(ends.first, "x");
                auto piece = co_await ends.second.receive();
                REQUIRE(piece);
                if (i % 2 == 0) kept.push_back(std::move(*piece));
            }
        });
        loop.run();
        std::thread([&] { kept.erase(kept.begin(), kept.begin() + 5); }).join();
    }
    for (const io_buffer& b : kept) CHECK(b.text() == "x");
    std::thread([&] { kept.erase(kept.begin(), kept.begin() + 5); }).join();
    CHECK(kept.size() == 10);
}

TEST_CASE("a stream goes from a loop that ends to another, with what it had received") {
    auto ends = pair_of_streams();
    std::string got;
    for (int i = 0; i < 5; ++i) {
        event_loop loop;
        loop.go([&]() -> task<> {
            send_now(ends.first, "ab");
            auto piece = co_await ends.second.receive();
            REQUIRE(piece);
            got += piece->text();
            send_now(ends.first, "c"); // nobody waits for it on this loop
            for (int turns = 0; turns < i; ++turns) co_await this_task::yield();
        });
        loop.run();
    }
    event_loop loop;
    loop.go([&]() -> task<> { got += co_await receive_exactly(ends.second, 15 - got.size()); });
    loop.run();
    CHECK(got == "abcabcabcabcabc");
}

TEST_CASE("tasks that wait for what a loop receives or accepts that ends get it on their own loops") {
    auto ends = pair_of_streams();
    tcp_listener l = test_support::listen_here();
    std::optional<event_loop> first(std::in_place);
    event_loop second, third;
    int accepted = 0;
    std::string got;
    first->go([&]() -> task<> {
        auto piece = co_await with_timeout(0ms, ends.second.receive());
        CHECK(!piece);
        auto c = co_await with_timeout(0ms, l.accept());
        CHECK(!c);
    });
    while (first->in_flight() != 0 || first->poll()) {
    }
    const auto wait = [&]() -> task<> {
        auto c = co_await l.accept();
        CHECK(c);
        ++accepted;
    };
    second.go(wait);
    third.go(wait);
    third.go([&]() -> task<> { got = co_await receive_exactly(ends.second, 5); });
    while (second.poll() || third.poll()) {
    }
    CHECK(second.in_flight() + third.in_flight() == 3);
    first.reset();
    send_now(ends.first, "still");
    event_loop clients;
    clients.go([&]() -> task<> {
        for (int i = 0; i < 2; ++i) {
            auto c = co_await tcp_stream::connect(l.local_address().to_string());
            CHECK(c);
        }
    });
    while (accepted < 2 || got.size() < 5) {
        clients.run_once(1ms);
        second.run_once(1ms);
        third.run_once(1ms);
    }
    CHECK(got == "still");
}

TEST_CASE("a listener that goes on another thread is closed when its loop comes round, or ends") {
    for (const bool ends : {false, true}) {
        const long open = test_support::descriptors();
        {
            std::optional<event_loop> loop(std::in_place);
            std::optional<tcp_listener> l(test_support::listen_here());
            const std::string address = l->local_address().to_string();
            loop->go([&]() -> task<> {
                auto none = co_await with_timeout(0ms, l->accept());
                CHECK(!none);
            });
            while (loop->in_flight() != 0 || loop->poll()) {
            }
            std::thread([&] { l.reset(); }).join();
            if (ends) loop.reset();
            else
                while (loop->poll()) {
                }
            CHECK(tcp_listener::bind(address));
        }
        CHECK(test_support::descriptors() == open);
    }
}

TEST_CASE("a loop that is stopped, and runs again, has those that wait for a receive or an accept wait on") {
    auto ends = pair_of_streams();
    std::string got;
    event_loop loop;
    loop.go([&]() -> task<> { got = co_await receive_exactly(ends.second, 2); });
    loop.post([&] { loop.stop(); });
    loop.run();
    CHECK(got.empty());
    send_now(ends.first, "on");
    loop.run();
    CHECK(got == "on");
}

IO_TASK("a receive that was not handed to the kernel yet takes nothing from the next stream of that number") {
    channel<int> other(1);
    for (int i = 0; i < 20; ++i) {
        std::optional<std::pair<unix_stream, unix_stream>> old(pair_of_streams());
        auto reader = spawn([&]() -> task<> {
            auto s = co_await select(old->second.receive(), other.recv());
            CHECK(s.index() == 1);
        });
        co_await until_parked(reader);
        std::ignore = other.try_send(1);
        static_cast<void>(co_await reader.join());
        old.reset();
        auto next = pair_of_streams();
        send_now(next.first, "precious");
        const std::string got = co_await receive_exactly(next.second, 8);
        CHECK(got == "precious");
    }
}

TEST_CASE("a listening socket that others have too goes on listening when ours goes") {
    std::optional<tcp_listener> shared;
    on_the_loop([&]() -> task<> {
        tcp_listener l = test_support::listen_here();
        const descriptor theirs(::dup(l.native_handle()));
        auto none = co_await with_timeout(0ms, l.accept());
        CHECK(!none);
        const std::string address = l.local_address().to_string();
        {
            const tcp_listener gone = std::move(l);
        }
        auto c = co_await tcp_stream::connect(address);
        CHECK(c);
    });
}

TEST_CASE("operations of a select_range that outlive it count no more as waiting") {
    auto a = pair_of_streams(), b = pair_of_streams();
    send_now(a.first, "x");
    std::vector<detail::receive_op> ops;
    ops.push_back(a.second.receive());
    ops.push_back(b.second.receive());
    event_loop loop;
    std::size_t in_flight = 1;
    loop.go([&]() -> task<> {
        auto first = co_await select_range(ops);
        CHECK(first.position == 0);
        in_flight = loop.in_flight();
    });
    loop.run();
    CHECK(in_flight == 0);
}

IO_TASK("a pipe is not read ahead of who asks") {
    auto made = byte_pipe::open();
    REQUIRE(made);
    for (int i = 0; i < 5; ++i) {
        const auto n = ::write(made->writer.native_handle(), "one", 3);
        auto piece = co_await made->reader.receive();
        REQUIRE((n == 3 && piece));
        CHECK(piece->text() == "one");
        CHECK(::write(made->writer.native_handle(), "two", 3) == 3);
        for (int turns = 0; turns < 20; ++turns) co_await this_task::yield();
        std::array<char, 8> buffer{};
        CHECK(::read(made->reader.native_handle(), buffer.data(), buffer.size()) == 3);
    }
}

TEST_CASE("streams that receive on one loop are read, and closed, on others") {
    const test_support::with_loops any;
    runtime rt({.loops = 4});
    const int code = rt.run([]() -> task<int> {
        constexpr int streams = 16, pieces = 200;
        channel<int> wrong = channel<int>::unbounded();
        co_await with_group([&](task_group& g) -> task<> {
            for (int i = 0; i < streams; ++i)
                g.go([&wrong]() -> task<> {
                    auto both = unix_stream::pair();
                    if (!both) {
                        std::ignore = wrong.try_send(1);
                        co_return;
                    }
                    unix_stream far = std::move(both->second);
                    co_await with_group([&](task_group& inner) -> task<> {
                        inner.go([&both]() -> task<> {
                            for (int n = 0; n < pieces; ++n) {
                                std::ignore = co_await both->first.write_all("0123456789");
                                if (n % 16 == 0) co_await this_task::yield();
                            }
                        });
                        std::size_t n = 0;
                        while (n < 10 * pieces) {
                            // Work that is worth another thread, so that tasks move.
                            for (volatile int spin = 0; spin < 2000;) spin = spin + 1;
                            auto piece = co_await far.receive();
                            if (!piece) break;
                            n += piece->size();
                        }
                        if (n != 10 * pieces) std::ignore = wrong.try_send(2);
                    });
                });
            co_return;
        });
        co_return static_cast<int>(wrong.size());
    });
    CHECK(code == 0);
}

TEST_CASE("a stream that only the kernel reads hides no deadlock, and one that a task reads is none") {
    const auto d = run_to_death([] {
        __libc_single_threaded = 1; // earlier tests had threads, this process has none
        static_cast<void>(levada::run([]() -> task<> {
            auto ends = pair_of_streams();
            send_now(ends.first, "x");
            auto piece = co_await ends.second.receive(); // from now on the kernel has it
            channel<int> never;
            std::ignore = co_await never.recv();
        }));
    });
    CHECK(d.says("all tasks are asleep"));

    const int code = levada::run([]() -> task<> {
        auto ends = pair_of_streams();
        std::optional<std::thread> peer;
        auto reader =
            spawn([&]() -> task<std::string> { co_return co_await receive_exactly(ends.second, 1); });
        co_await until_parked(reader);
        peer.emplace([&] { send_now(ends.first, "x"); });
        auto got = co_await reader.join();
        peer->join();
        CHECK(got == "x");
    });
    CHECK(code == 0);
}

TEST_CASE("a stream that is destroyed while a task receives from it says so") {
    const auto d = run_to_death([] {
        static_cast<void>(levada::run([]() -> task<> {
            auto ends = pair_of_streams();
            std::optional<unix_stream> mine(std::move(ends.second));
            auto reader = spawn([&]() -> task<> { static_cast<void>(co_await mine->receive()); });
            co_await until_parked(reader);
            mine.reset();
        }));
    });
    CHECK(d.aborted);
    CHECK(d.says("was destroyed while a task waits for it"));
}

TEST_CASE("a task that waits for a receive says what it waits for") {
    event_loop loop;
    auto ends = pair_of_streams();
    loop.go([&]() -> task<> { static_cast<void>(co_await ends.second.receive()); });
    while (loop.poll()) {
    }
    std::ostringstream out;
    CHECK(debug::dump_tasks(out) == 1);
    CHECK(out.str().find("receive from a stream") != std::string::npos);
    send_now(ends.first, "x");
    loop.run();
}
