#include "on_the_loop.hpp"
#include "temporary_folder.hpp"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>

#include <levada/levada.hpp>

using namespace levada;
using namespace std::chrono_literals;
using test_support::folder;
using test_support::on_the_loop;
namespace fs = std::filesystem;

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
            while (!includes_change(seen, file_change::closed)) {
                auto e = co_await events.recv();
                REQUIRE(e);
                CHECK(e->path == f.path.string());
                CHECK(e->name == "new");
                seen = seen | e->what;
            }
            CHECK(includes_change(seen, file_change::created));
            CHECK(includes_change(seen, file_change::modified));
            CHECK_FALSE(includes_change(seen, file_change::removed));
            fs::remove(f / "new");
            auto gone = co_await events.recv();
            REQUIRE(gone);
            CHECK(gone->what == file_change::removed);
            for (int i = 0; i < 100; ++i) std::ofstream(f / std::to_string(i).c_str()) << i;
            int created = 0;
            while (created < 100) { // more than the channel holds
                auto e = co_await events.recv();
                REQUIRE(e);
                created += includes_change(e->what, file_change::created) ? 1 : 0;
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
