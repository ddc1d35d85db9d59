#pragma once

#include <pthread.h>
#include <signal.h>

namespace levada::detail {

/// A thread that is made while one of these lives gets no signals: they go to the program's own threads.
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

} // namespace levada::detail
