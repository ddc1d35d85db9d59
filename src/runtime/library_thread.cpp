#include "library_thread.hpp"

#include <sched.h>
#include <signal.h>

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

/// The CPUs that this thread may use; and the same but the one that it is on. False where there is no other.
bool find_other_cpus(cpu_set_t& all, cpu_set_t& others) noexcept {
    if (::pthread_getaffinity_np(::pthread_self(), sizeof all, &all) != 0) return false;
    others = all;
    if (const int here = ::sched_getcpu(); here >= 0 && here < CPU_SETSIZE) CPU_CLR(here, &others);
    return CPU_COUNT(&others) != 0;
}

int start_on_other_cpu(pthread_t& made, void* (*enter)(void*), void* argument) noexcept {
    cpu_set_t all, others;
    pthread_attr_t how;
    if (!find_other_cpus(all, others)) return -1;
    if (::pthread_attr_init(&how) != 0) return -1;
    int error = ::pthread_attr_setaffinity_np(&how, sizeof others, &others);
    if (error == 0) error = ::pthread_create(&made, &how, enter, argument);
    // It stands in the other CPU's queue by now, and may leave it.
    if (error == 0) ::pthread_setaffinity_np(made, sizeof all, &all);
    ::pthread_attr_destroy(&how);
    return error;
}

} // namespace

int start_thread(pthread_t& made, void* (*enter)(void*), void* argument) noexcept {
    const no_signals during;
    if (start_on_other_cpu(made, enter, argument) == 0) return 0;
    return ::pthread_create(&made, nullptr, enter, argument);
}

} // namespace levada::detail
