#include <levada/io/signals.hpp>

#include <fcntl.h>
#include <liburing.h>
#include <pthread.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <memory>
#include <mutex>
#include <string>
#include <system_error>
#include <utility>

#include <levada/io/descriptor.hpp>
#include <levada/task/spawn.hpp>
#include <levada/task/task.hpp>

#include "../loop/above_standard.hpp"
#include "../loop/handlers.hpp"

// A handler writes the signal's number to the pipe of every channel that wants it: handlers are the
// process's, so it does not matter on which of its threads a signal arrives.
//
// Invariants:
// 1. Pipes are kept for ever, and used again: a handler that still runs on some thread may write to one that
//    was given back, which does no harm, but it never writes to a descriptor that has become another file.
// 2. The list of pipes only grows, at its head. The handler reads it without a lock; all else is guarded by a
//    mutex.
// 3. The handler is installed while at least one channel wants the signal; then what was there before is put
//    back.
// 4. The child of a fork has no pipes, and no handler of ours.

namespace levada {
namespace {

constexpr int most_signals = 65; // numbered from 1

struct signal_pipe {
    int read_end = -1;
    int write_end = -1;
    std::array<std::atomic<bool>, most_signals> wanted{};
    bool used = false;
    signal_pipe* next = nullptr;
};
static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<signal_pipe*>::is_always_lock_free,
              "signal handlers read them");

constinit std::atomic<signal_pipe*> pipes{nullptr};

void on_signal(int number) {
    const int before = errno;
    detail::signal_handlers.fetch_add(1, std::memory_order_seq_cst);
    const auto byte = static_cast<unsigned char>(number);
    for (signal_pipe* p = pipes.load(std::memory_order_acquire); p; p = p->next) {
        if (!p->wanted[static_cast<std::size_t>(number)].load(std::memory_order_relaxed)) continue;
        // A full pipe: a burst that nobody reads is dropped.
        [[maybe_unused]] const auto written = ::write(p->write_end, &byte, 1);
    }
    detail::signal_handlers.fetch_sub(1, std::memory_order_seq_cst);
    errno = before;
}

void before_fork() noexcept;
void in_parent() noexcept;
void in_child() noexcept;

struct registry {
    std::mutex mutex;
    std::array<int, most_signals> users{};
    std::array<struct sigaction, most_signals> before{};
};
registry& all() noexcept {
    static registry* const r = [] {
        static_cast<void>(::pthread_atfork(before_fork, in_parent, in_child)); // out of memory: as without it
        return new registry; // never destroyed: tasks may end after main
    }();
    return *r;
}

void before_fork() noexcept { all().mutex.lock(); }
void in_parent() noexcept { all().mutex.unlock(); }
// The runtimes whose channels these are do not live in the child, and the pipes are the parent's too: a
// signal of the child would arrive there.
void in_child() noexcept {
    for (signal_pipe* p = pipes.exchange(nullptr, std::memory_order_relaxed); p; p = p->next) {
        ::close(p->read_end);
        ::close(p->write_end);
    }
    detail::signal_channels.store(0, std::memory_order_relaxed);
    detail::signal_handlers.store(0, std::memory_order_relaxed); // of threads that are not here
    for (std::size_t i = 1; i < most_signals; ++i)
        if (std::exchange(all().users[i], 0) != 0)
            ::sigaction(static_cast<int>(i), &all().before[i], nullptr);
    all().mutex.unlock();
}

signal_pipe& unused_pipe() {
    for (signal_pipe* p = pipes.load(std::memory_order_relaxed); p; p = p->next) {
        if (p->used) continue;
        std::array<unsigned char, 64> old; // what was written for the last user
        const int flags = ::fcntl(p->read_end, F_GETFL);
        ::fcntl(p->read_end, F_SETFL, flags | O_NONBLOCK);
        while (::read(p->read_end, old.data(), old.size()) > 0) {
        }
        ::fcntl(p->read_end, F_SETFL, flags);
        return *p;
    }
    auto made = std::make_unique<signal_pipe>(); // before the pipe, which nobody would close
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0 || !detail::both_above_standard(ends))
        throw std::system_error(errno, std::system_category(), "signal_channel");
    ::fcntl(ends[1], F_SETFL, O_NONBLOCK); // the handler must not wait
    made->read_end = ends[0];
    made->write_end = ends[1];
    made->next = pipes.load(std::memory_order_relaxed);
    pipes.store(made.get(), std::memory_order_release);
    return *made.release();
}

/// A pipe that gets the numbers of some signals as they arrive.
class subscription {
public:
    explicit subscription(std::initializer_list<int> signals) {
        std::lock_guard guard(all().mutex);
        pipe_ = &unused_pipe();
        pipe_->used = true;
        try {
            for (int number : signals) add(number);
        } catch (...) {
            give_back();
            throw;
        }
        detail::signal_channels.fetch_add(1, std::memory_order_seq_cst);
    }
    subscription(subscription&& other) noexcept : pipe_(std::exchange(other.pipe_, nullptr)) {}
    ~subscription() {
        if (!pipe_) return;
        std::lock_guard guard(all().mutex);
        detail::signal_channels.fetch_sub(1, std::memory_order_seq_cst);
        give_back();
    }
    [[nodiscard]] int fd() const noexcept { return pipe_->read_end; }

private:
    void add(int number) {
        struct sigaction handler{};
        handler.sa_handler = on_signal;
        handler.sa_flags = SA_RESTART;
        ::sigfillset(&handler.sa_mask);
        const auto i = static_cast<std::size_t>(number);
        if (number < 1 || number >= most_signals)
            throw std::system_error(EINVAL, std::system_category(),
                                    "signal_channel: no signal " + std::to_string(number));
        if (pipe_->wanted[i].load(std::memory_order_relaxed)) return; // named twice
        if (all().users[i] == 0 && ::sigaction(number, &handler, &all().before[i]) != 0)
            throw std::system_error(errno, std::system_category(),
                                    "signal_channel: signal " + std::to_string(number) + " cannot be caught");
        ++all().users[i];
        pipe_->wanted[i].store(true, std::memory_order_relaxed);
    }
    void give_back() noexcept {
        for (std::size_t i = 1; i < most_signals; ++i) {
            if (!pipe_->wanted[i].exchange(false, std::memory_order_relaxed)) continue;
            if (--all().users[i] == 0) ::sigaction(static_cast<int>(i), &all().before[i], nullptr);
        }
        pipe_->used = false;
    }
    signal_pipe* pipe_;
};

class signal_read_op final : public detail::kernel_awaitable<signal_read_op> {
public:
    explicit signal_read_op(int fd) noexcept : fd_(fd) { set_background(); }
    void describe(std::string& out) const override { out += "a signal"; }
    result<int> take() noexcept {
        if (answer() < 0) return detail::system_failure(answer());
        return static_cast<int>(number_);
    }

private:
    void prepare(io_uring_sqe& sqe) noexcept override { io_uring_prep_read(&sqe, fd_, &number_, 1, 0); }
    bool again(int answer) noexcept override { return answer == -EINTR; }
    int fd_;
    unsigned char number_ = 0;
};

task<> read_signals(subscription from, send_channel<int> out) {
    for (;;) {
        auto number = co_await signal_read_op(from.fd());
        if (!number) {
            out.close(number.error());
            co_return;
        }
        std::ignore = out.try_send(*number); // a burst beyond the buffer is dropped, as the kernel does
    }
}

} // namespace

recv_channel<int> signal_channel(std::initializer_list<int> signals) {
    subscription from(signals);
    channel<int> out(16);
    go(read_signals, std::move(from), send_channel<int>(out));
    return out;
}

} // namespace levada
