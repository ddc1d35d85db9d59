#include "others.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <string_view>

#include "above_standard.hpp"
#include "forks.hpp"
#include "offload_pool.hpp"

extern "C" [[gnu::weak]] void __tsan_acquire(void*); // NOLINT: there where ThreadSanitizer is

namespace levada::detail {
namespace {

/// The threads of this process, as the kernel counts them; 0 when it does not tell.
std::size_t threads_of_process() noexcept {
    struct stat folder{};
    if (::stat("/proc/self/task", &folder) != 0 || folder.st_nlink < 3) return 0;
    return folder.st_nlink - 2; // a folder each, beside . and ..
}

/// Threads that belong to a sanitizer, in a process that has `all` of them. ThreadSanitizer's runtime starts
/// its only one before the first pthread_create of the program returns, and that one touches nothing of the
/// program's. In the child of a fork it starts one or not, so there it is a stranger, if it is there. Other
/// sanitizers have none, but by options; then no report comes.
std::size_t sanitizers(std::size_t all) noexcept { return __tsan_acquire && all > 1 && forks() == 0 ? 1 : 0; }

/// Whether a thread is one of those that the kernel makes for an io_uring, which run nothing of the
/// program's.
bool is_kernel_worker(const char* id) noexcept {
    constexpr unsigned long io_worker = 0x10; // PF_IO_WORKER
    std::array<char, 64> path;
    (void)std::snprintf(path.data(), path.size(), "/proc/self/task/%.20s/stat", id);
    const int fd = above_standard(::open(path.data(), O_RDONLY | O_CLOEXEC));
    if (fd < 0) return false; // it has ended meanwhile
    std::array<char, 512> text;
    const auto n = ::read(fd, text.data(), text.size() - 1);
    ::close(fd);
    if (n <= 0) return false;
    text[static_cast<std::size_t>(n)] = '\0';
    // "ID (NAME) STATE PARENT GROUP SESSION TERMINAL ITS_GROUP FLAGS": a name may have anything in it.
    const char* const after_name = std::strrchr(text.data(), ')');
    unsigned long flags = 0;
    return after_name && std::sscanf(after_name + 1, " %*c %*d %*d %*d %*d %*d %lu", &flags) == 1 &&
           (flags & io_worker) != 0;
}

/// The same count without the kernel's workers; 0 when it is not sure. A thread that is made meanwhile stands
/// at the end of the list, so it is found, unless its maker is. One that ends meanwhile may cut the list
/// short.
std::size_t threads_but_workers() noexcept {
    const std::size_t before = threads_of_process();
    const int fd = above_standard(::open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd < 0) return 0;
    DIR* const folder = ::fdopendir(fd);
    if (!folder) {
        ::close(fd);
        return 0;
    }
    std::size_t n = 0, listed = 0;
    while (const dirent* entry = ::readdir(folder)) {
        if (entry->d_name[0] == '.') continue;
        ++listed;
        if (!is_kernel_worker(entry->d_name)) ++n;
    }
    ::closedir(folder);
    return listed == before && listed == threads_of_process() ? n : 0;
}

} // namespace

others look_for_others(std::size_t loops, bool closely) noexcept {
    offload_pool::hold_all();
    bool strangers = true;
    if (!offload_pool::any_busy()) {
        const std::size_t ours = loops + offload_pool::all_threads();
        std::size_t all = threads_of_process();
        strangers = all != ours + sanitizers(all);
        if (strangers && closely) {
            all = threads_but_workers();
            strangers = all != ours + sanitizers(all);
        }
    }
    offload_pool::let_go_of_all();
    return strangers ? others::perhaps : others::none;
}

} // namespace levada::detail
