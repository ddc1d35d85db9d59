#include <levada/detail/util/fatal.hpp>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <exception>

#include <levada/base/executor.hpp>

namespace levada::detail {
namespace {

std::atomic<bool> exiting{false};

/// exit() destroys the thread-locals of its thread first, and those of nobody else.
class exit_watch {
public:
    exit_watch() noexcept = default;
    ~exit_watch() {
        if (executor::current()) exiting.store(true, std::memory_order_relaxed);
    }
    void stand() const noexcept {}
};

} // namespace

void watch_for_exit() noexcept {
    thread_local const exit_watch watch;
    watch.stand();
    // Another thread may call exit(), too; this runs before what was made before it is destroyed.
    [[maybe_unused]] static const int once =
        std::atexit([] { exiting.store(true, std::memory_order_relaxed); });
}

void fatal_unless_exiting(std::string_view what) noexcept {
    if (!exiting.load(std::memory_order_relaxed)) fatal(what);
}

void fatal_unless_exiting(std::string_view what, const std::source_location& where) noexcept {
    fatal_unless_exiting({what}, where);
}

void fatal_unless_exiting(std::initializer_list<std::string_view> what,
                          const std::source_location& where) noexcept {
    if (!exiting.load(std::memory_order_relaxed)) fatal(what, where);
}

std::string_view unwound_by_exception() noexcept {
    return std::uncaught_exceptions() > 0 ? "by an exception that leaves its scope, " : "";
}

namespace {

void begin_report(std::initializer_list<std::string_view> what) noexcept {
    std::fflush(stdout);
    std::fputs("levada: ", stderr);
    for (const std::string_view s : what) std::fwrite(s.data(), 1, s.size(), stderr);
}

} // namespace

void fatal(std::initializer_list<std::string_view> what) noexcept {
    begin_report(what);
    std::fputc('\n', stderr);
    std::abort();
}

void fatal(std::initializer_list<std::string_view> what, const std::source_location& where) noexcept {
    begin_report(what);
    std::fprintf(stderr, " (%s:%u)\n", where.file_name(), static_cast<unsigned>(where.line()));
    std::abort();
}

void fatal(std::string_view what) noexcept { fatal({what}); }

void fatal(std::string_view what, const std::source_location& where) noexcept { fatal({what}, where); }

} // namespace levada::detail
