// Pipes, standard streams, children, watches, and what is done to paths.

#include "on_the_loop.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <levada/levada.hpp>

using namespace levada;
using namespace std::chrono_literals;
using test_support::holds;
using test_support::on_the_loop;
namespace fs = std::filesystem;

namespace {

class folder {
public:
    folder() {
        std::string name = (fs::temp_directory_path() / "levada_XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()));
        path = name;
    }
    ~folder() { fs::remove_all(path); }
    folder(const folder&) = delete;
    folder& operator=(const folder&) = delete;
    [[nodiscard]] std::string operator/(const char* name) const { return (path / name).string(); }
    fs::path path;
};

task<std::string> read_all(byte_stream& from) {
    std::string out;
    std::array<char, 4096> buffer;
    for (;;) {
        auto n = co_await from.read(buffer);
        REQUIRE(n);
        if (*n == 0) co_return out;
        out.append(buffer.data(), *n);
    }
}

std::vector<std::string> shell(const char* script) {
    std::vector<std::string> out;
    for (const char* part : {"sh", "-c", script}) out.emplace_back(part);
    return out;
}

bool no_child_is_left() { return ::waitpid(-1, nullptr, WNOHANG) == -1; }

} // namespace

TEST_CASE("a pipe carries more than it holds, ends with its writer, and breaks without a reader") {
    on_the_loop([]() -> task<> {
        auto p = byte_pipe::open();
        REQUIRE(p);
        const std::string text(300'000, 'p');
        std::string got;
        co_await with_group([&](task_group& g) -> task<> {
            g.go([&]() -> task<> {
                auto n = co_await p->writer.write_all(text);
                CHECK(holds(n, text.size()));
                auto more = co_await p->writer.write_all("a", "bc", "");
                CHECK(holds(more, std::size_t(3)));
                auto closed = co_await p->writer.close();
                CHECK(closed);
            });
            got = co_await read_all(p->reader);
        });
        CHECK(got.size() == text.size() + 3);
        CHECK(got.starts_with(text));
        CHECK(got.ends_with("abc"));
        auto broken = byte_pipe::open();
        REQUIRE(broken);
        auto closed = co_await broken->reader.close();
        CHECK(closed);
        auto n = co_await broken->writer.write("x");
        CHECK(n.error() == std::errc::broken_pipe); // and no signal
        auto shut = co_await broken->writer.shutdown_write();
        CHECK(shut.error() == std::errc::not_a_socket);
    });
}

TEST_CASE("a read from a pipe that is cancelled or loses a select takes nothing") {
    on_the_loop([]() -> task<> {
        auto p = byte_pipe::open();
        REQUIRE(p);
        std::array<char, 8> buffer{};
        auto late = co_await with_timeout(1ms, p->reader.read(buffer));
        CHECK(late.error() == errc::timed_out);
        auto n = co_await p->writer.write("kept");
        CHECK(n);
        auto got = co_await p->reader.read(buffer);
        CHECK(holds(got, std::size_t(4)));
    });
}

TEST_CASE("standard streams are read and written on descriptors of their own") {
    int in[2], out[2];
    REQUIRE(::pipe(in) == 0);
    REQUIRE(::pipe(out) == 0);
    const int old_in = ::dup(STDIN_FILENO), old_out = ::dup(STDOUT_FILENO);
    std::fflush(stdout);
    ::dup2(in[0], STDIN_FILENO);
    ::dup2(out[1], STDOUT_FILENO);
    CHECK(::write(in[1], "line\n", 5) == 5);
    const int code = levada::run([]() -> task<> {
        auto from = standard_input();
        auto to = standard_output();
        if (!from || !to) co_return;
        buffered lines(std::move(*from));
        auto line = co_await lines.read_line(100);
        if (line) std::ignore = co_await to->write_all(*line, "!\n");
    });
    ::dup2(old_in, STDIN_FILENO);
    ::dup2(old_out, STDOUT_FILENO);
    CHECK(code == 0);
    std::array<char, 16> got{};
    CHECK(::read(out[0], got.data(), got.size()) == 6);
    CHECK(std::string_view(got.data(), 6) == "line!\n");
    for (const int fd : {in[0], in[1], out[0], out[1], old_in, old_out}) ::close(fd);
}

TEST_CASE("a child's streams are ours, and its end is told, by code or signal") {
    on_the_loop([]() -> task<> {
        child_options all;
        all.input = all.output = all.error = child_stream::pipe;
        auto c = child_process::start(shell("read x; echo out $x; echo err >&2; exit 3"), all);
        REQUIRE(c);
        CHECK(c->pid() > 0);
        auto n = co_await c->input()->write_all("word\n");
        CHECK(n);
        const std::string out = co_await read_all(*c->output());
        const std::string err = co_await read_all(*c->error());
        CHECK(out == "out word\n");
        CHECK(err == "err\n");
        auto status = co_await c->wait();
        REQUIRE(status);
        CHECK(status->code == 3);
        CHECK(status->signal == 0);
        CHECK_FALSE(status->success());
        auto again = co_await c->wait();
        CHECK(again->code == 3);
        CHECK(c->kill().error() == std::errc::no_such_process);

        auto killed = child_process::start(shell("kill -TERM $$"));
        REQUIRE(killed);
        auto how = co_await killed->wait();
        CHECK(how->signal == SIGTERM);
    });
    CHECK(no_child_is_left());
}

TEST_CASE("a child runs where, and with what environment, it is told, and what is none is an error") {
    folder f;
    on_the_loop([&]() -> task<> {
        child_options set;
        set.output = child_stream::pipe;
        set.error = child_stream::null;
        set.directory = f.path.string();
        set.environment.emplace();
        set.environment->push_back("NAME=value");
        auto c = child_process::start(shell("pwd; echo $NAME; echo hidden >&2"), set);
        REQUIRE(c);
        const std::string out = co_await read_all(*c->output());
        std::string expected = fs::canonical(f.path).string();
        expected += "\nvalue\n";
        CHECK(out == expected);
        auto status = co_await c->wait();
        CHECK(status->success());
        std::vector<std::string> none;
        CHECK(child_process::start(none).error() == std::errc::invalid_argument);
        none.emplace_back("/no/such/program");
        set.input = child_stream::pipe;
        CHECK(child_process::start(none, set).error() == std::errc::no_such_file_or_directory);
    });
    CHECK(no_child_is_left());
}

TEST_CASE("a child is killed and waited for when its task is cancelled, and when it is dropped") {
    on_the_loop([]() -> task<> {
        ::pid_t pid = 0;
        auto r = co_await with_timeout(20ms, [&]() -> task<> {
            auto c = child_process::start(shell("exec sleep 1000"));
            REQUIRE(c);
            pid = c->pid();
            static_cast<void>(co_await c->wait());
        });
        CHECK(r.error() == errc::timed_out);
        CHECK(::kill(pid, 0) == -1);
        {
            auto dropped = child_process::start(shell("trap '' TERM; exec sleep 1000"));
            REQUIRE(dropped);
            CHECK(dropped->kill(SIGTERM));
            child_process moved = std::move(*dropped);
            pid = moved.pid();
        }
        CHECK(::kill(pid, 0) == -1);
    });
    CHECK(no_child_is_left());
}

TEST_CASE("changes of files and directories come through a channel, and end with the watch") {
    folder f;
    on_the_loop([&]() -> task<> {
        recv_channel<file_event> events = nil;
        {
            auto w = file_watch::open();
            REQUIRE(w);
            CHECK(w->add(f.path.string()));
            CHECK(w->add(f / "none").error() == std::errc::no_such_file_or_directory);
            events = w->events();
            auto nothing = co_await with_timeout(1ms, events.recv());
            CHECK(nothing.error() == errc::timed_out);
            std::ofstream(f / "new") << "text";
            file_change seen{};
            while (!has(seen, file_change::closed)) {
                auto e = co_await events.recv();
                REQUIRE(e);
                CHECK(e->path == f.path.string());
                CHECK(e->name == "new");
                seen = seen | e->what;
            }
            CHECK(has(seen, file_change::created));
            CHECK(has(seen, file_change::modified));
            CHECK_FALSE(has(seen, file_change::removed));
            fs::remove(f / "new");
            auto gone = co_await events.recv();
            REQUIRE(gone);
            CHECK(gone->what == file_change::removed);
            for (int i = 0; i < 100; ++i) std::ofstream(f / std::to_string(i).c_str()) << i;
            int created = 0;
            while (created < 100) { // more than the channel holds
                auto e = co_await events.recv();
                REQUIRE(e);
                created += has(e->what, file_change::created) ? 1 : 0;
            }
        }
        for (;;) { // what was still there, and the end
            auto e = co_await events.recv();
            if (e) continue;
            CHECK(e.error() == errc::closed);
            break;
        }
    });
}

TEST_CASE("paths are renamed, removed and made, and each failure says why") {
    folder f;
    on_the_loop([&]() -> task<> {
        std::ofstream(f / "a") << "text";
        auto made = co_await make_directory(f / "sub");
        CHECK(made);
        auto again = co_await make_directory(f / "sub");
        CHECK(again.error() == std::errc::file_exists);
        auto moved = co_await rename_file(f / "a", f / "sub/b");
        CHECK(moved);
        CHECK(fs::exists(f / "sub/b"));
        auto gone = co_await rename_file(f / "a", f / "c");
        CHECK(gone.error() == std::errc::no_such_file_or_directory);
        auto full = co_await remove_directory(f / "sub");
        CHECK(full.error() == std::errc::directory_not_empty);
        auto wrong = co_await remove_file(f / "sub");
        CHECK(wrong.error() == std::errc::is_a_directory);
        auto removed = co_await remove_file(f / "sub/b");
        CHECK(removed);
        auto empty = co_await remove_directory(f / "sub");
        CHECK(empty);
        CHECK_FALSE(fs::exists(f / "sub"));
    });
}

TEST_CASE("a file is written and read in pieces, and cut to a length") {
    folder f;
    on_the_loop([&]() -> task<> {
        auto opened =
            co_await file::open(f / "pieces", file_mode::read | file_mode::write | file_mode::create);
        REQUIRE(opened);
        const std::string a = "one ", b(100'000, 'x'), c = " three";
        std::vector<std::span<const std::byte>> from;
        for (const std::string* part : {&a, &b, &c})
            from.push_back(std::as_bytes(std::span<const char>(*part)));
        auto n = co_await opened->write_at(5, std::span<const std::span<const std::byte>>(from));
        CHECK(holds(n, a.size() + b.size() + c.size()));
        std::string first(9, '\0'), second(100'006, '\0'), third(10, '-');
        std::vector<std::span<std::byte>> to;
        for (std::string* part : {&first, &second, &third})
            to.push_back(std::as_writable_bytes(std::span<char>(*part)));
        auto got = co_await opened->read_at(0, std::span<const std::span<std::byte>>(to));
        CHECK(holds(got, std::size_t(100'015)));
        CHECK(first == std::string_view("\0\0\0\0\0one ", 9));
        CHECK(second.starts_with(b));
        CHECK(second.ends_with(c));
        CHECK(third == "----------");
        auto cut = co_await opened->truncate(9);
        CHECK(cut);
        auto size = co_await opened->size();
        CHECK(holds(size, std::uint64_t(9)));
        auto end = co_await opened->read_at(9, std::span<const std::span<std::byte>>(to));
        CHECK(holds(end, std::size_t(0)));
        std::vector<std::span<std::byte>> none;
        auto nothing = co_await opened->read_at(0, std::span<const std::span<std::byte>>(none));
        CHECK(holds(nothing, std::size_t(0)));
        auto dev_full = co_await file::open("/dev/full", file_mode::write);
        REQUIRE(dev_full);
        auto full = co_await dev_full->write_at(0, std::span<const std::span<const std::byte>>(from));
        CHECK(full.error() == std::errc::no_space_on_device);
    });
}
