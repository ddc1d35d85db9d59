// Runs one scenario, and stands between the library and what it asks the system for: threads, look-ups of
// names, and writes (the program is linked with --wrap).

#include "scenario.hpp"

#include <netdb.h>
#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <ctime>
#include <mutex>

namespace test_process {
namespace {

const scenario*& all() noexcept {
    static const scenario* first = nullptr;
    return first;
}

std::atomic<int> threads_left{-1};
std::atomic<int> refused{0};
std::atomic<int> ms_before_signals{0};

std::mutex mutex; // guards what follows
std::condition_variable changed;
bool resolver_is_closed = false;
int begun = 0;

} // namespace

scenario::scenario(const char* s, void (*f)()) noexcept : sentence(s), run(f), next(all()) { all() = this; }

void let_threads_start(int n) noexcept { threads_left = n; }

int threads_refused() noexcept { return refused; }

void delay_signals(int ms) noexcept { ms_before_signals = ms; }

void close_resolver() {
    const std::lock_guard guard(mutex);
    resolver_is_closed = true;
}
void open_resolver() {
    const std::lock_guard guard(mutex);
    resolver_is_closed = false;
    changed.notify_all();
}
void until_look_ups(int n) {
    std::unique_lock guard(mutex);
    changed.wait(guard, [n] { return begun >= n; });
}
int look_ups_begun() {
    const std::lock_guard guard(mutex);
    return begun;
}

} // namespace test_process

extern "C" {
int __real_pthread_create(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*); // NOLINT
int __wrap_pthread_create(pthread_t* made, const pthread_attr_t* how, void* (*f)(void*),
                          void* with) { // NOLINT
    if (test_process::threads_left == 0) {
        ++test_process::refused;
        return EAGAIN;
    }
    if (test_process::threads_left > 0) --test_process::threads_left;
    return __real_pthread_create(made, how, f, with);
}

::ssize_t __real_write(int, const void*, std::size_t);                // NOLINT
::ssize_t __wrap_write(int fd, const void* bytes, std::size_t size) { // NOLINT
    if (const int ms = test_process::ms_before_signals; ms != 0 && size == 1) {
        const timespec t{0, ms * 1'000'000L};
        ::nanosleep(&t, nullptr);
    }
    return __real_write(fd, bytes, size);
}

int __real_getaddrinfo(const char*, const char*, const addrinfo*, addrinfo**);                 // NOLINT
int __wrap_getaddrinfo(const char*, const char* port, const addrinfo* how, addrinfo** found) { // NOLINT
    {
        using namespace test_process;
        std::unique_lock guard(mutex);
        ++begun;
        changed.notify_all();
        changed.wait(guard, [] { return !resolver_is_closed; });
    }
    return __real_getaddrinfo("127.0.0.1", port, how, found);
}
}

int main(int argc, char** argv) {
    for (const test_process::scenario* s = test_process::all(); s; s = s->next) {
        if (argc != 2) {
            std::puts(s->sentence);
        } else if (std::strcmp(argv[1], s->sentence) == 0) {
            s->run();
            return 0;
        }
    }
    if (argc == 2) std::fprintf(stderr, "there is no such scenario\n");
    return argc == 2 ? 1 : 0;
}
