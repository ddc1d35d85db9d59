#include "support.hpp"

#include <levada/channel/channel.hpp>
#include <levada/io/file.hpp>
#include <levada/io/walk.hpp>
#include <levada/task/spawn.hpp>
#include <levada/task/this_task.hpp>
#include <levada/task/timeout.hpp>

#include <catch2/catch_test_macros.hpp>

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

using namespace levada;
namespace fs = std::filesystem;

namespace {

class tree {
public:
    tree() {
        std::string name = (fs::temp_directory_path() / "levada-walk-XXXXXX").string();
        if (!::mkdtemp(name.data())) std::abort();
        path_ = name;
        fs::permissions(path_, fs::perms(0755));
    }
    ~tree() {
        std::error_code ignored;
        fs::remove_all(path_, ignored);
    }
    tree(const tree&) = delete;
    tree& operator=(const tree&) = delete;
    [[nodiscard]] std::string operator/(const std::string& name) const { return path_ + "/" + name; }
    void put(const std::string& name) const {
        fs::create_directories(fs::path(*this / name).parent_path());
        std::ofstream(*this / name) << name;
    }
    [[nodiscard]] const std::string& path() const noexcept { return path_; }

private:
    std::string path_;
};

/// What a walk sends, sorted: paths, and paths with " !" for errors.
task<std::vector<std::string>> walked(std::string root) {
    channel<walk_entry> out(2);
    auto h = spawn(
        [](std::string from, channel<walk_entry> to) -> task<result<void>> {
            auto r = co_await walk(from, to);
            to.close();
            co_return r;
        },
        root, out);
    std::vector<std::string> all;
    while (auto e = co_await out.recv()) all.push_back(e->path + (e->error ? " !" : ""));
    auto r = co_await h.join();
    CHECK(r);
    std::sort(all.begin(), all.end());
    co_return all;
}

} // namespace

TEST_CASE("walk finds every regular file of nested directories once, and empty directories give nothing") {
    tree t;
    std::vector<std::string> expected;
    std::string deep;
    for (int i = 0; i < 30; ++i) {
        const std::string number = std::to_string(i);
        deep += "d" + number + "/";
        for (const char* name : {"a", "b c", "\xff\n"}) {
            t.put(deep + name);
            expected.push_back(t / (deep + name));
        }
    }
    fs::create_directories(t / "empty/emptier");
    std::sort(expected.begin(), expected.end());
    CHECK(levada::run([&]() -> task<> {
              auto all = co_await walked(t.path());
              CHECK(all == expected);
          }) == 0);
}

TEST_CASE("links to directories are not followed, loops neither; links to files are") {
    tree t;
    t.put("a/f");
    fs::create_directory_symlink(t.path(), t / "a/loop");
    fs::create_directory_symlink(".", t / "a/self");
    fs::create_directory_symlink(t / "a", t / "b");
    fs::create_symlink(t / "a/f", t / "file_link");
    fs::create_symlink("circle", t / "circle");
    CHECK(levada::run([&]() -> task<> {
              auto all = co_await walked(t.path());
              CHECK(all == std::vector<std::string>{t / "a/f", t / "file_link"});
              auto through_a_link = co_await walked(t / "b");
              CHECK(through_a_link == std::vector<std::string>{t / "b/f"});
          }) == 0);
}

TEST_CASE("a walk of a file gives the file, and of nothing an entry with the error") {
    tree t;
    t.put("f");
    CHECK(levada::run([&]() -> task<> {
              auto one = co_await walked(t / "f");
              CHECK(one == std::vector<std::string>{t / "f"});
              channel<walk_entry> out(1);
              auto r = co_await walk(t / "missing", out);
              CHECK(r);
              auto e = co_await out.recv();
              REQUIRE(e);
              CHECK(e->path == t / "missing");
              CHECK(e->error == std::errc::no_such_file_or_directory);
          }) == 0);
}

TEST_CASE("a directory that may not be read is one entry with its error, and the walk goes on") {
    tree t;
    t.put("a/f");
    t.put("locked/f");
    t.put("z/f");
    fs::permissions(t / "locked", fs::perms::none);
    CHECK(levada::run([&]() -> task<> {
              if (::geteuid() == 0 && ::seteuid(65534) != 0) std::abort();
              auto all = co_await walked(t.path());
              auto root = co_await walked(t / "locked");
              if (::getuid() == 0 && ::seteuid(0) != 0) std::abort();
              CHECK(all == std::vector<std::string>{t / "a/f", t / "locked !", t / "z/f"});
              CHECK(root == std::vector<std::string>{t / "locked !"});
          }) == 0);
    fs::permissions(t / "locked", fs::perms::owner_all);
}

TEST_CASE("a walk whose receiver has gone ends with closed and reads no further") {
    tree t;
    for (int i = 0; i < 100; ++i) {
        const std::string number = std::to_string(i);
        t.put("d" + number + "/f");
    }
    CHECK(levada::run([&]() -> task<> {
              channel<walk_entry> out;
              auto h = spawn(walk, t.path(), out);
              for (int i = 0; i < 3; ++i) {
                  auto e = co_await out.recv();
                  CHECK(e);
              }
              out.close();
              auto r = co_await h.join();
              CHECK(r.error() == errc::closed);
          }) == 0);
}

TEST_CASE("a walk is cancelled while it waits for room") {
    const std::size_t frames = frame_pool::live();
    tree t;
    for (int i = 0; i < 10; ++i) {
        const std::string number = std::to_string(i);
        t.put("f" + number);
    }
    CHECK(levada::run([&]() -> task<> {
              channel<walk_entry> out;
              auto h = spawn(walk, t.path(), out);
              co_await test_support::until_parked(h);
              h.cancel();
              auto r = co_await h.join();
              CHECK(r.error() == errc::cancelled);
          }) == 0);
    CHECK(frame_pool::live() == frames);
}
