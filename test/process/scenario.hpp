#pragma once

// Tests that need a process of their own, since they are about what belongs to a whole process: its threads,
// its forks, its standard descriptors. Each is a function that is registered under a sentence; the program
// runs the one that it is given.

#include <cstdio>
#include <cstdlib>

#if defined(__SANITIZE_THREAD__)
#define LEVADA_UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define LEVADA_UNDER_TSAN 1
#endif
#endif

namespace test_process {

class scenario {
public:
    scenario(const char* sentence, void (*run)()) noexcept;
    const char* sentence;
    void (*run)();
    const scenario* next;
};

/// Ends the process when `held` is false.
inline void expect_at(bool held, const char* what, const char* file, int line) {
    if (held) return;
    std::fprintf(stderr, "%s:%d: not so: %s\n", file, line, what);
    std::_Exit(1);
}

/// For meson: skipped.
[[noreturn]] inline void skip(const char* why) {
    std::printf("skipped: %s\n", why);
    std::fflush(stdout);
    std::_Exit(77);
}

/// How many threads may still be started; negative: as many as the system gives.
void let_threads_start(int n) noexcept;
/// How often that was refused.
int threads_refused() noexcept;
/// A handler of a signal channel takes so long before it tells the channel.
void delay_signals(int ms) noexcept;
/// While closed, `getaddrinfo` waits; then it gives 127.0.0.1 for any name.
void close_resolver();
void open_resolver();
/// Waits until so many look-ups have begun.
void until_look_ups(int n);
int look_ups_begun();

} // namespace test_process

#define EXPECT(...) test_process::expect_at(static_cast<bool>(__VA_ARGS__), #__VA_ARGS__, __FILE__, __LINE__)
#define SCENARIO_3(line, text)                                                                               \
    static void scenario_##line();                                                                           \
    static const test_process::scenario registered_##line(text, scenario_##line);                            \
    static void scenario_##line()
#define SCENARIO_2(line, text) SCENARIO_3(line, text)
#define SCENARIO(text) SCENARIO_2(__LINE__, text)
