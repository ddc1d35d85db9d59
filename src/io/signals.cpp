#include <levada/io/signals.hpp>

#include <liburing.h>
#include <pthread.h>
#include <sys/signalfd.h>

#include <cerrno>
#include <csignal>
#include <string>
#include <system_error>

#include <levada/core/spawn.hpp>
#include <levada/core/task.hpp>
#include <levada/io/descriptor.hpp>

namespace levada {
namespace {

/// Blocks signals as long as it lives, but for those that were blocked before.
class blocked_signals {
public:
    explicit blocked_signals(const sigset_t& set) {
        const int error = ::pthread_sigmask(SIG_BLOCK, &set, &before_);
        if (error != 0) throw std::system_error(error, std::system_category(), "signal_channel");
    }
    blocked_signals(blocked_signals&& other) noexcept
        : before_(other.before_), mine_(std::exchange(other.mine_, false)) {}
    ~blocked_signals() {
        if (mine_) ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    }

private:
    sigset_t before_{};
    bool mine_ = true;
};

class signal_read_op final : public detail::kernel_awaitable<signal_read_op> {
public:
    explicit signal_read_op(int fd) noexcept : fd_(fd) { set_background(); }
    void describe(std::string& out) const override { out += "a signal"; }
    result<int> take() noexcept {
        if (answer() < 0) return detail::system_failure(answer());
        return static_cast<int>(info_.ssi_signo);
    }

private:
    void prepare(io_uring_sqe& sqe) noexcept override {
        io_uring_prep_read(&sqe, fd_, &info_, sizeof(info_), 0);
    }
    bool again(int answer) noexcept override { return answer == -EINTR; }
    int fd_;
    signalfd_siginfo info_{};
};

task<> read_signals(detail::descriptor fd, blocked_signals blocked, send_channel<int> out) {
    static_cast<void>(blocked);
    for (;;) {
        auto number = co_await signal_read_op(fd.get());
        if (!number) {
            out.close(number.error());
            co_return;
        }
        std::ignore = out.try_send(*number); // a burst beyond the buffer is dropped, as the kernel does
    }
}

} // namespace

recv_channel<int> signal_channel(std::initializer_list<int> signals) {
    sigset_t set;
    ::sigemptyset(&set);
    for (int number : signals)
        if (::sigaddset(&set, number) != 0)
            throw std::system_error(errno, std::system_category(),
                                    "signal_channel: no signal " + std::to_string(number));
    blocked_signals blocked(set);
    detail::descriptor fd(::signalfd(-1, &set, SFD_CLOEXEC));
    if (!fd) throw std::system_error(errno, std::system_category(), "signal_channel");
    channel<int> out(16);
    go(read_signals, std::move(fd), std::move(blocked), send_channel<int>(out));
    return out;
}

} // namespace levada
