#include "on_the_loop.hpp"
#include "read_all.hpp"
#include "temporary_folder.hpp"

#include <sys/wait.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <levada/levada.hpp>

using namespace levada;
using namespace std::chrono_literals;
using test_support::folder;
using test_support::on_the_loop;
using test_support::read_all;
namespace fs = std::filesystem;

namespace {

std::vector<std::string> shell(const char* script) {
    std::vector<std::string> out;
    for (const char* part : {"sh", "-c", script}) out.emplace_back(part);
    return out;
}

bool no_child_is_left() { return ::waitpid(-1, nullptr, WNOHANG) == -1; }

} // namespace

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
