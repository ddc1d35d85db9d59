#include "on_the_loop.hpp"

#include <levada/cancel/source.hpp>
#include <levada/io/file.hpp>
#include <levada/io/paths.hpp>
#include <levada/io/whole_file.hpp>
#include <levada/sync/timer.hpp>
#include <levada/task/spawn.hpp>
#include <levada/task/this_task.hpp>
#include <levada/task/timeout.hpp>

#include <catch2/catch_test_macros.hpp>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

using namespace levada;
using namespace std::chrono_literals;
using test_support::descriptors;
using test_support::holds;
using test_support::on_the_loop;
namespace fs = std::filesystem;

namespace {

class temporary_directory {
public:
    temporary_directory() {
        std::string name = (fs::temp_directory_path() / "levada-test-XXXXXX").string();
        if (!::mkdtemp(name.data())) std::abort();
        path_ = name;
        fs::permissions(path_, fs::perms(0777));
    }
    ~temporary_directory() {
        std::error_code ignored;
        fs::remove_all(path_, ignored);
    }
    temporary_directory(const temporary_directory&) = delete;
    temporary_directory& operator=(const temporary_directory&) = delete;
    [[nodiscard]] std::string operator/(const std::string& name) const { return path_ + "/" + name; }
    [[nodiscard]] const std::string& path() const noexcept { return path_; }
    [[nodiscard]] long entries() const {
        return std::distance(fs::directory_iterator(path_), fs::directory_iterator());
    }

private:
    std::string path_;
};

/// Root may read all, so for a scope it is somebody else.
class not_root {
public:
    not_root() {
        if (::geteuid() == 0 && ::seteuid(65534) != 0) std::abort();
    }
    ~not_root() {
        if (::getuid() == 0 && ::seteuid(0) != 0) std::abort();
    }
    not_root(const not_root&) = delete;
    not_root& operator=(const not_root&) = delete;
};

void put(const std::string& path, const std::string& bytes) { std::ofstream(path) << bytes; }
std::string get(const std::string& path) {
    std::ostringstream out;
    out << std::ifstream(path).rdbuf();
    return out.str();
}

std::string pattern(std::size_t n) {
    std::string s(n, '\0');
    for (std::size_t i = 0; i < n; ++i) s[i] = static_cast<char>('a' + (i * 31 + i / 257) % 26);
    return s;
}

} // namespace

TEST_CASE("opening what is missing, a directory for writing, or forbidden gives the system's code") {
    temporary_directory dir;
    put(dir / "secret", "x");
    fs::permissions(dir / "secret", fs::perms::none);
    on_the_loop([&]() -> task<> {
        auto missing = co_await file::open(dir / "missing");
        CHECK(missing.error() == std::errc::no_such_file_or_directory);
        auto below = co_await file::open(dir / "missing/file", file_mode::write | file_mode::create);
        CHECK(below.error() == std::errc::no_such_file_or_directory);
        auto directory = co_await file::open(dir.path(), file_mode::write);
        CHECK(directory.error() == std::errc::is_a_directory);
        auto through = co_await file::open(dir / "secret/x");
        CHECK(through.error() == std::errc::not_a_directory);
        auto there =
            co_await file::open(dir / "secret", file_mode::write | file_mode::create | file_mode::exclusive);
        CHECK(there.error() == std::errc::file_exists);
        not_root other;
        auto secret = co_await file::open(dir / "secret");
        CHECK(secret.error() == std::errc::permission_denied);
        auto read = co_await read_file(dir / "secret");
        CHECK(read.error() == std::errc::permission_denied);
    });
}

TEST_CASE("the modes create, truncate, append and read with write do what they say") {
    temporary_directory dir;
    put(dir / "old", "old bytes");
    on_the_loop([&]() -> task<> {
        auto made = co_await file::open(dir / "new", file_mode::read | file_mode::write | file_mode::create);
        REQUIRE(made);
        auto written = co_await made->write_at(3, "abc");
        CHECK(holds(written, 3u));
        std::array<char, 10> buffer{};
        auto n = co_await made->read_at(0, buffer);
        CHECK(holds(n, 6u));
        CHECK(std::string(buffer.data(), 6) == std::string("\0\0\0abc", 6));
        auto appending = co_await file::open(dir / "old", file_mode::append);
        REQUIRE(appending);
        auto first = co_await appending->append(" and");
        auto second = co_await appending->append(" new");
        CHECK((holds(first, 4u) && holds(second, 4u)));
        auto synced = co_await appending->sync();
        CHECK(synced);
        CHECK(get(dir / "old") == "old bytes and new");
        auto wrong = co_await appending->read_at(0, buffer);
        CHECK(wrong.error() == std::errc::bad_file_descriptor);
        auto emptied = co_await file::open(dir / "old", file_mode::write | file_mode::truncate);
        REQUIRE(emptied);
        auto size = co_await emptied->size();
        CHECK(holds(size, 0u));
    });
}

TEST_CASE("reads at and beyond the end give what there is, then 0; empty buffers give 0") {
    temporary_directory dir;
    put(dir / "f", "0123456789");
    on_the_loop([&]() -> task<> {
        auto f = co_await file::open(dir / "f", file_mode::read | file_mode::write);
        REQUIRE(f);
        std::array<char, 8> buffer{};
        auto part = co_await f->read_at(7, buffer);
        CHECK(holds(part, 3u));
        auto end = co_await f->read_at(10, buffer);
        CHECK(holds(end, 0u));
        auto beyond = co_await f->read_at(1'000'000, buffer);
        CHECK(holds(beyond, 0u));
        auto empty = co_await f->read_at(0, std::span<char>());
        CHECK(holds(empty, 0u));
        auto nothing = co_await f->write_at(0, "");
        CHECK(holds(nothing, 0u));
        auto negative = co_await f->read_at(~std::uint64_t(1), buffer);
        CHECK_FALSE(negative);
    });
}

TEST_CASE("status tells size and kind, of an open file and of a path, links followed") {
    temporary_directory dir;
    put(dir / "f", "12345");
    fs::create_symlink(dir / "f", dir / "link");
    on_the_loop([&]() -> task<> {
        auto f = co_await file::open(dir / "f");
        REQUIRE(f);
        auto open = co_await f->status();
        REQUIRE(open);
        CHECK((open->size() == 5 && open->is_regular() && !open->is_directory()));
        auto link = co_await stat_file(dir / "link");
        REQUIRE(link);
        CHECK((link->size() == 5 && link->is_regular()));
        auto directory = co_await stat_file(dir.path());
        REQUIRE(directory);
        CHECK(directory->is_directory());
        auto missing = co_await stat_file(dir / "missing");
        CHECK(missing.error() == std::errc::no_such_file_or_directory);
    });
}

TEST_CASE("status tells when a file was changed, to the nanosecond") {
    temporary_directory dir;
    put(dir / "f", "12345");
    const timespec times[] = {{1, 0}, {1'000'000'000, 123'456'789}}; // of access, of change
    REQUIRE(::utimensat(AT_FDCWD, (dir / "f").c_str(), times, 0) == 0);
    on_the_loop([&]() -> task<> {
        auto status = co_await stat_file(dir / "f");
        REQUIRE(status);
        CHECK(status->modified().time_since_epoch() == 1'000'000'000s + 123'456'789ns);
    });
}

TEST_CASE("close tells how it went, once; what is used afterwards fails with EBADF") {
    temporary_directory dir;
    put(dir / "f", "12345");
    on_the_loop([&]() -> task<> {
        auto f = co_await file::open(dir / "f");
        REQUIRE(f);
        auto closed = co_await f->close();
        CHECK(closed);
        auto again = co_await f->close();
        CHECK(again.error() == std::errc::bad_file_descriptor);
        std::array<char, 8> buffer{};
        auto read = co_await f->read_at(0, buffer);
        CHECK(read.error() == std::errc::bad_file_descriptor);
        auto status = co_await f->size();
        CHECK(status.error() == std::errc::bad_file_descriptor);
    });
}

TEST_CASE("read_file gives the whole of empty, small, large and /proc files") {
    temporary_directory dir;
    on_the_loop([&]() -> task<> {
        for (std::size_t n : {0u, 1u, 4094u, 4095u, 4096u, 4097u, 8192u, 65536u, 20'000'000u}) {
            const std::string bytes = pattern(n);
            put(dir / "f", bytes);
            auto text = co_await read_file(dir / "f");
            REQUIRE(text);
            CHECK((*text == bytes));
        }
        auto status = co_await read_file("/proc/self/status"); // its size is said to be 0
        REQUIRE(status);
        CHECK(status->find("Name:") != std::string::npos);
        auto maps = co_await read_file("/proc/self/maps"); // more than one read
        REQUIRE(maps);
        CHECK(maps->size() > 4096);
        CHECK(maps->back() == '\n');
        auto null = co_await read_file("/dev/null");
        CHECK(holds(null, ""));
        auto missing = co_await read_file(dir / "missing");
        CHECK(missing.error() == std::errc::no_such_file_or_directory);
        auto directory = co_await read_file(dir.path());
        CHECK(directory.error() == std::errc::is_a_directory);
        auto empty = co_await read_file("");
        CHECK(empty.error() == std::errc::no_such_file_or_directory);
    });
}

TEST_CASE("write_file makes and replaces a file whole, keeps its permissions, and leaves nothing beside it") {
    temporary_directory dir;
    on_the_loop([&]() -> task<> {
        auto made = co_await write_file(dir / "f", "first");
        CHECK(made);
        CHECK(get(dir / "f") == "first");
        fs::permissions(dir / "f", fs::perms(0640));
        auto reader = co_await file::open(dir / "f");
        REQUIRE(reader);
        const std::string large = pattern(3'000'000);
        auto replaced = co_await write_file(dir / "f", large);
        CHECK(replaced);
        CHECK((get(dir / "f") == large));
        std::array<char, 10> old{};
        auto n = co_await reader->read_at(0, old); // who has it open keeps the old one
        CHECK(holds(n, 5u));
        auto now_empty = co_await write_file(dir / "f", "");
        CHECK(now_empty);
    });
    CHECK(fs::file_size(dir / "f") == 0);
    CHECK(fs::status(dir / "f").permissions() == fs::perms(0640));
    CHECK(dir.entries() == 1);
}

TEST_CASE("a write_file that fails leaves the old file as it was and nothing beside it") {
    temporary_directory dir;
    put(dir / "f", "old");
    fs::create_directory(dir / "d");
    std::signal(SIGXFSZ, SIG_IGN);
    on_the_loop([&]() -> task<> {
        auto missing = co_await write_file(dir / "missing/f", "x");
        CHECK(missing.error() == std::errc::no_such_file_or_directory);
        auto directory = co_await write_file(dir / "d", "x");
        CHECK(directory.error() == std::errc::is_a_directory);
        auto empty = co_await write_file("", "x");
        CHECK_FALSE(empty);
        ::rlimit before{};
        ::getrlimit(RLIMIT_FSIZE, &before);
        const ::rlimit small{100'000, before.rlim_max};
        ::setrlimit(RLIMIT_FSIZE, &small);
        auto large = co_await write_file(dir / "f", pattern(300'000));
        ::setrlimit(RLIMIT_FSIZE, &before);
        CHECK(large.error() == std::errc::file_too_large);
    });
    std::signal(SIGXFSZ, SIG_DFL);
    CHECK(get(dir / "f") == "old");
    CHECK(dir.entries() == 2);
    CHECK_FALSE(fs::exists(".levada"));
}

TEST_CASE("write_file writes under a name as long as the file system allows") {
    temporary_directory dir;
    const std::string name = dir / std::string(255, 'n');
    on_the_loop([&]() -> task<> {
        auto written = co_await write_file(name, "x");
        CHECK(written);
    });
    CHECK(get(name) == "x");
}

TEST_CASE("cancelled at any moment a write_file leaves the old file or the new one, and nothing beside it") {
    temporary_directory dir;
    put(dir / "f", "old");
    const std::string fresh = pattern(200'000);
    on_the_loop([&]() -> task<> {
        int finished = 0;
        for (int i = 0; i < 200; ++i) {
            auto h = spawn(write_file, dir / "f", fresh);
            if (i % 2 == 0) {
                for (int k = 0; k < i / 2; ++k) co_await this_task::yield();
            } else {
                co_await sleep_for(std::chrono::microseconds(i * 10));
            }
            h.cancel();
            auto r = co_await h.join();
            finished += r ? 1 : 0;
            if (!r) CHECK(r.error() == errc::cancelled);
        }
        INFO(finished << " finished");
        CHECK(finished < 200);
    });
    CHECK(dir.entries() == 1);
    const std::string now_there = get(dir / "f");
    CHECK((now_there == "old" || now_there == fresh));
}

TEST_CASE("opens and reads that are cancelled or timed out at any moment leave no descriptor open") {
    temporary_directory dir;
    put(dir / "f", pattern(300'000));
    on_the_loop([&]() -> task<> {
        const long before = descriptors();
        for (int i = 0; i < 1000; ++i) {
            auto h = spawn(read_file, dir / "f");
            for (int k = 0; k < i % 5; ++k) co_await this_task::yield();
            h.cancel();
            auto r = co_await h.join();
            if (!r) CHECK(r.error() == errc::cancelled);
            auto opened = co_await with_timeout(0s, file::open(dir / "f"));
            if (!opened) CHECK(opened.error() == errc::timed_out);
        }
        CHECK(descriptors() == before);
    });
}

TEST_CASE("a file is written and read in pieces, and cut to a length") {
    temporary_directory f;
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
