#include "library_thread.hpp"

#include <signal.h>

#include <cstring>
#include <initializer_list>

namespace levada::detail {
namespace {

class no_signals {
public:
    no_signals() noexcept {
        sigset_t all;
        ::sigfillset(&all);
        for (const int own : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS, SIGPROF})
            ::sigdelset(&all, own);
        ::pthread_sigmask(SIG_BLOCK, &all, &before_);
    }
    ~no_signals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    no_signals(const no_signals&) = delete;
    no_signals& operator=(const no_signals&) = delete;

private:
    sigset_t before_;
};

bool read_cpus(cpu_set_t& cpus) noexcept {
    return ::pthread_getaffinity_np(::pthread_self(), sizeof cpus, &cpus) == 0;
}

} // namespace

int start_thread(pthread_t& made, void* (*enter)(void*), void* argument) noexcept {
    const no_signals during;
    return ::pthread_create(&made, nullptr, enter, argument);
}

allowed_cpus::allowed_cpus() noexcept {
    if (!read_cpus(set_)) CPU_ZERO(&set_); // there are more than a set has room for
}

int allowed_cpus::start_thread_elsewhere(pthread_t& made, void* (*enter)(void*),
                                         void* argument) const noexcept {
    cpu_set_t others = set_;
    if (const int here = ::sched_getcpu(); here >= 0 && here < CPU_SETSIZE) CPU_CLR(here, &others);
    pthread_attr_t how;
    if (CPU_COUNT(&others) != 0 && ::pthread_attr_init(&how) == 0) {
        const no_signals during;
        int error = ::pthread_attr_setaffinity_np(&how, sizeof others, &others);
        if (error == 0) error = ::pthread_create(&made, &how, enter, argument);
        ::pthread_attr_destroy(&how);
        if (error == 0) return 0;
    }
    return start_thread(made, enter, argument);
}

void allowed_cpus::take() const noexcept {
    if (CPU_COUNT(&set_) == 0) return;
    cpu_set_t all, allowed;
    std::memset(&all, 0xff, sizeof all);
    // The kernel gives what the cpuset has of them. If that is more, somebody has chosen these.
    const bool widened = ::pthread_setaffinity_np(::pthread_self(), sizeof all, &all) == 0;
    if (!widened || !read_cpus(allowed) || !CPU_EQUAL(&allowed, &set_))
        ::pthread_setaffinity_np(::pthread_self(), sizeof set_, &set_);
}

} // namespace levada::detail
