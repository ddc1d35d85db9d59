#include <levada/io/whole_file.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <span>
#include <string>
#include <system_error>
#include <utility>

#include <levada/io/file.hpp>
#include <levada/task/defer.hpp>

namespace levada {

task<result<std::string>> read_file(std::string path) {
    auto opened = co_await file::open(path, file_mode::read);
    if (!opened) co_return fail(opened.error());
    const int fd = opened->native_handle();
    struct stat known{};
    // On an open descriptor this asks no disk: a submission would go to a kernel worker and cost ten times
    // it.
    if (::fstat(fd, &known) != 0) co_return fail(std::error_code(errno, std::system_category()));
    if (S_ISDIR(known.st_mode)) co_return fail(std::make_error_code(std::errc::is_a_directory));
    constexpr std::size_t at_least = 4096; // files in /proc say 0
    std::string text;
    text.resize(std::max(static_cast<std::size_t>(known.st_size) + 1, at_least));
    std::size_t filled = 0;
    for (;;) {
        // With a byte to spare, so that the end shows without another allocation.
        auto n =
            co_await opened->read_at(filled, std::span<char>(text.data() + filled, text.size() - filled));
        if (!n) co_return fail(n.error());
        filled += *n;
        if (*n == 0) break;
        if (filled == static_cast<std::size_t>(known.st_size) && filled < text.size() &&
            S_ISREG(known.st_mode))
            break;
        if (filled == text.size()) text.resize(text.size() * 2);
    }
    text.resize(filled);
    co_return text;
}

task<result<void>> write_file(std::string path, std::string bytes) {
    static std::atomic<unsigned> number{0};
    const std::size_t slash =
        path.rfind('/'); // a short name of its own: the file's may be as long as names get
    const std::string beside = path.substr(0, slash == std::string::npos ? 0 : slash + 1) + ".levada-" +
                               std::to_string(::getpid()) + "-" + std::to_string(number.fetch_add(1));
    bool made = false;
    defer clean_up([&] {
        if (made) ::unlink(beside.c_str());
    });
    auto opened = co_await file::open(beside, file_mode::write | file_mode::create | file_mode::exclusive);
    if (!opened) co_return fail(opened.error());
    made = true;
    struct stat old{};
    if (::stat(path.c_str(), &old) == 0 && ::fchmod(opened->native_handle(), old.st_mode & 07777) != 0)
        co_return fail(std::error_code(errno, std::system_category()));
    auto written = co_await opened->write_at(0, bytes);
    if (!written) co_return fail(written.error());
    auto synced = co_await opened->sync();
    if (!synced) co_return fail(synced.error());
    auto closed = co_await opened->close();
    if (!closed) co_return fail(closed.error());
    if (::rename(beside.c_str(), path.c_str()) != 0)
        co_return fail(std::error_code(errno, std::system_category()));
    made = false;
    co_return result<void>();
}

} // namespace levada
