// A file system that is full: a tmpfs that is mounted nowhere, so that it goes with its descriptor.

#include "on_the_loop.hpp"

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <span>
#include <sstream>
#include <string>

#include <levada/io/file.hpp>
#include <levada/io/paths.hpp>
#include <levada/io/whole_file.hpp>

#include <catch2/catch_test_macros.hpp>

using namespace levada;
using test_support::descriptors;
using test_support::holds;
namespace fs = std::filesystem;

namespace {

constexpr std::size_t disk_size = 1 << 20;

class small_disk {
public:
    small_disk() {
        const auto made = static_cast<int>(::syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC));
        if (made < 0) return;
        const std::string size = std::to_string(disk_size);
        if (::syscall(SYS_fsconfig, made, FSCONFIG_SET_STRING, "size", size.c_str(), 0) == 0 &&
            ::syscall(SYS_fsconfig, made, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) == 0)
            root_ = static_cast<int>(::syscall(SYS_fsmount, made, FSMOUNT_CLOEXEC, 0));
        const int why = errno;
        ::close(made);
        errno = why;
    }
    ~small_disk() {
        if (root_ >= 0) ::close(root_);
    }
    small_disk(const small_disk&) = delete;
    small_disk& operator=(const small_disk&) = delete;

    [[nodiscard]] explicit operator bool() const noexcept { return root_ >= 0; }
    [[nodiscard]] std::string operator/(const std::string& name) const {
        return "/proc/self/fd/" + std::to_string(root_) + "/" + name;
    }
    [[nodiscard]] long entries() const {
        return std::distance(fs::directory_iterator(*this / ""), fs::directory_iterator());
    }

private:
    int root_ = -1;
};

std::string get(const std::string& path) {
    std::ostringstream out;
    out << std::ifstream(path).rdbuf();
    return out.str();
}

template <class F>
void on_a_small_disk(const F& f) {
    const small_disk disk;
    if (!disk) SKIP("no file system can be made here: " << std::strerror(errno));
    const std::size_t frames = frame_pool::live();
    const long open = descriptors();
    CHECK(levada::run(f, std::cref(disk)) == 0);
    CHECK(frame_pool::live() == frames);
    CHECK(descriptors() == open);
}

} // namespace

TEST_CASE("a write_file for which the disk has no room leaves the old file whole and nothing beside it") {
    on_a_small_disk([](const small_disk& disk) -> task<> {
        const std::string old(disk_size / 2, 'o');
        auto first = co_await write_file(disk / "f", old);
        REQUIRE(first);
        // In its place it would fit, but not beside it.
        for (const std::size_t size : {disk_size * 3 / 4, disk_size, disk_size * 20}) {
            auto replaced = co_await write_file(disk / "f", std::string(size, 'n'));
            CHECK(replaced.error() == std::errc::no_space_on_device);
            CHECK((get(disk / "f") == old));
            CHECK(disk.entries() == 1);
        }
        auto made = co_await write_file(disk / "g", std::string(disk_size, 'n'));
        CHECK(made.error() == std::errc::no_space_on_device);
        CHECK(disk.entries() == 1);
        auto fits = co_await write_file(disk / "f", "new");
        CHECK(fits);
        CHECK(get(disk / "f") == "new");
    });
}

TEST_CASE(
    "append and write_at to a full disk say so, keep what had room, and go on when there is some again") {
    on_a_small_disk([](const small_disk& disk) -> task<> {
        auto log = co_await file::open(disk / "log", file_mode::append | file_mode::create);
        REQUIRE(log);
        const std::string line(100'000, 'l');
        std::size_t lines = 0;
        auto appended = co_await log->append(line);
        for (; appended && lines < disk_size; ++lines) appended = co_await log->append(line);
        CHECK(appended.error() == std::errc::no_space_on_device);
        CHECK(lines == disk_size / line.size());
        auto size = co_await log->size();
        REQUIRE(size);
        CHECK((*size >= lines * line.size() && *size <= disk_size));
        auto nothing = co_await log->append("");
        CHECK(holds(nothing, 0u));

        auto f = co_await file::open(disk / "f", file_mode::read | file_mode::write | file_mode::create);
        REQUIRE(f);
        auto small = co_await f->write_at(0, "x");
        CHECK(small.error() == std::errc::no_space_on_device);
        const std::string large(3 * disk_size, 'x');
        auto far = co_await f->write_at(std::uint64_t(1) << 30, large);
        CHECK(far.error() == std::errc::no_space_on_device);
        const std::array<std::span<const std::byte>, 2> pieces{std::as_bytes(std::span(line)),
                                                               std::as_bytes(std::span(large))};
        auto several = co_await f->write_at(0, pieces);
        CHECK(several.error() == std::errc::no_space_on_device);
        auto empty = co_await f->size();
        CHECK(holds(empty, 0u));

        auto removed = co_await remove_file(disk / "log");
        CHECK(removed);
        auto closed = co_await log->close(); // the last who had it
        CHECK(closed);
        auto part = co_await f->write_at(0, pieces);
        CHECK(part.error() == std::errc::no_space_on_device);
        auto filled = co_await f->size();
        CHECK(holds(filled, disk_size));
        std::array<char, 2> there{};
        auto n = co_await f->read_at(line.size() - 1, there);
        CHECK(holds(n, 2u));
        CHECK((there == std::array{'l', 'x'}));
        auto again = co_await f->write_at(10, "within");
        CHECK(holds(again, 6u));
    });
}
