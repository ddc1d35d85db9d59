#include "ring.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <string>
#include <system_error>

#include <levada/base/fatal.hpp>
#include <levada/runtime/submit.hpp>

namespace levada::detail {
namespace {

constexpr unsigned entries = 256;
constexpr unsigned completions = 4096;
constexpr std::uint64_t cancel_tag = 1;

[[noreturn]] void throw_setup_error(int error) {
    std::string what = "io_uring cannot be used";
    if (error == EPERM)
        what +=
            ": it is switched off here (sysctl kernel.io_uring_disabled, or a container's seccomp profile); "
            "set kernel.io_uring_disabled=0, or run the container with a profile that allows io_uring_setup, "
            "io_uring_enter and io_uring_register";
    else if (error == ENOSYS)
        what += ": this kernel has none, or a seccomp profile hides it; Linux 6.1 or later is needed";
    else if (error == ENOMEM) what += ": no memory may be locked for its queues; raise RLIMIT_MEMLOCK";
    throw std::system_error(error, std::system_category(), what);
}

} // namespace

ring::ring() {
    // Probed, not assumed: each set of flags is tried in turn, the best first.
    constexpr unsigned common = IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE;
    constexpr std::array<unsigned, 3> choices = {
        common | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_R_DISABLED | IORING_SETUP_SINGLE_ISSUER |
            IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
        common | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
        common,
    };
    int error = EINVAL;
    for (unsigned flags : choices) {
        io_uring_params params{};
        params.flags = flags;
        params.cq_entries = completions;
        error = -io_uring_queue_init_params(entries, &ring_, &params);
        if (error == 0) {
            disabled_ = (flags & IORING_SETUP_R_DISABLED) != 0;
            io_uring_ring_dontfork(&ring_);
            return;
        }
        if (error != EINVAL) break;
    }
    throw_setup_error(error);
}

ring::~ring() { io_uring_queue_exit(&ring_); }

void ring::enable() {
    if (!disabled_) return;
    // liburing 2.3 declares io_uring_enable_rings without exporting it.
    const long r = ::syscall(__NR_io_uring_register, ring_.ring_fd, IORING_REGISTER_ENABLE_RINGS, nullptr, 0);
    if (r < 0)
        throw std::system_error(errno, std::system_category(), "io_uring cannot be enabled on this thread");
    disabled_ = false;
}

void ring::signal_to(int event_fd) {
    if (const int r = io_uring_register_eventfd(&ring_, event_fd); r < 0)
        throw std::system_error(-r, std::system_category(), "event_loop::fd");
}

// A free entry; the kernel is handed what is queued when there is none. Null while it takes no more.
io_uring_sqe* ring::entry() noexcept {
    if (io_uring_sqe* sqe = io_uring_get_sqe(&ring_)) return sqe;
    while (io_uring_submit(&ring_) == -EINTR) {
    }
    return io_uring_get_sqe(&ring_);
}

bool ring::put(ring_entry& op) noexcept {
    io_uring_sqe* sqe = entry();
    if (!sqe) return false;
    op.prepare(*sqe);
    io_uring_sqe_set_data(sqe, &op);
    return true;
}

bool ring::put_cancel(ring_entry& op) noexcept {
    io_uring_sqe* sqe = entry();
    if (!sqe) return false;
    const auto address = reinterpret_cast<std::uint64_t>(&op);
    io_uring_prep_cancel64(sqe, address, 0);
    io_uring_sqe_set_data64(sqe, address | cancel_tag);
    return true;
}

void ring::submit(ring_entry& op) noexcept {
    ++(op.background_ ? background_ : in_flight_);
    op.pending_ = 1;
    op.cancelling_ = false;
    if (!waiting_.empty() || !put(op)) {
        op.waits_ = true;
        waiting_.push_back(op);
    }
}

void ring::cancel(ring_entry& op) noexcept {
    if (op.waits_ && op.pending_ == 1) { // the kernel never saw it
        waiting_.erase(op);
        op.waits_ = false;
        op.cancelling_ = true;
        op.completed(-ECANCELED, false);
        return;
    }
    op.cancelling_ = true;
    ++op.pending_;
    if (!put_cancel(op)) {
        op.waits_ = true;
        waiting_.push_back(op);
    }
}

bool ring::has_news() const noexcept {
    const auto& cq = ring_.cq;
    return (IO_URING_READ_ONCE(*ring_.sq.kflags) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0 ||
           IO_URING_READ_ONCE(*cq.ktail) != IO_URING_READ_ONCE(*cq.khead);
}

bool ring::wants_poll() noexcept { return io_uring_sq_ready(&ring_) != 0 || !waiting_.empty() || has_news(); }

void ring::poll() noexcept {
    int r;
    do r = io_uring_submit_and_get_events(&ring_);
    while (r == -EINTR);
    // EAGAIN and EBUSY: out of memory, or the completion queue is full: reap, and try again next turn.
    if (r < 0 && r != -EAGAIN && r != -EBUSY)
        fatal("io_uring_enter failed: " + std::system_category().message(-r));
    reap();
}

void ring::wait(time_point deadline) noexcept {
    int r;
    io_uring_cqe* first = nullptr;
    if (deadline == time_point::max()) {
        r = io_uring_submit_and_wait(&ring_, 1);
    } else {
        const auto left = deadline - std::chrono::steady_clock::now();
        if (left <= duration::zero()) return poll();
        const auto seconds = std::chrono::floor<std::chrono::seconds>(left);
        __kernel_timespec ts{};
        ts.tv_sec = seconds.count();
        ts.tv_nsec = std::chrono::nanoseconds(left - seconds).count();
        r = io_uring_submit_and_wait_timeout(&ring_, &first, 1, &ts, nullptr);
    }
    // ETIME: the deadline. EINTR: a signal; the loop looks around and waits again.
    if (r < 0 && r != -ETIME && r != -EINTR && r != -EAGAIN && r != -EBUSY)
        fatal("io_uring_enter failed: " + std::system_category().message(-r));
    reap();
}

void ring::reap() noexcept {
    for (;;) {
        unsigned head;
        unsigned n = 0;
        io_uring_cqe* cqe;
        // The operations are told after the queue was advanced: they may submit, and fill it, again.
        constexpr unsigned batch = 64;
        std::array<std::pair<std::uint64_t, int>, batch> got;
        io_uring_for_each_cqe(&ring_, head, cqe) {
            got[n++] = {cqe->user_data, cqe->res};
            if (n == batch) break;
        }
        io_uring_cq_advance(&ring_, n);
        for (unsigned i = 0; i < n; ++i) {
            auto* op = reinterpret_cast<ring_entry*>(got[i].first & ~cancel_tag);
            op->completed(got[i].second, (got[i].first & cancel_tag) != 0);
        }
        if (n == batch) continue;
        if (!io_uring_cq_has_overflow(&ring_) || io_uring_get_events(&ring_) < 0) break;
    }
    while (ring_entry* op = waiting_.front()) {
        // Either the operation itself waits for an entry, or its cancel does.
        if (!(op->cancelling_ ? put_cancel(*op) : put(*op))) return;
        op->waits_ = false;
        waiting_.erase(*op);
    }
}

void check_submitted(const io_uring_sqe& sqe) noexcept {
    if ((sqe.flags & (IOSQE_IO_LINK | IOSQE_IO_HARDLINK)) != 0)
        fatal("event_loop::submit: the entry is linked to the next one, which may be any of the loop's: "
              "submit one after the other");
    if ((sqe.flags & IOSQE_CQE_SKIP_SUCCESS) != 0)
        fatal("event_loop::submit: the entry asks for no completion, so its task would wait for ever");
}

bool kernel_op::link() noexcept {
    auto& task = static_cast<control&>(*who);
    ring_ = task.home()->kernel();
    if (!ring_) fatal("a kernel operation was awaited on a loop that has no ring: it needs an event_loop");
    task.kernel_started();
    done_ = false;
    ring_->submit(*this);
    return false;
}

bool kernel_op::withdraw() noexcept {
    if (pending_ != 0 && !cancelling_ && !done_) ring_->cancel(*this);
    return pending_ == 0;
}

void kernel_op::completed(int result, bool of_cancel) noexcept {
    --pending_;
    if (!of_cancel) {
        if (again(result) && !cancelling_) {
            ring_->ended(*this);
            ring_->submit(*this);
            return;
        }
        done_ = true;
        answer_ = result;
    } else if (result == -ENOENT && !done_) {
        // It was between two of the kernel's tries, when it can not be found; it may wait again by now.
        ring_->cancel(*this);
    }
    if (pending_ == 0) retired();
}

void kernel_op::late(int answer) noexcept {
    if (keeps_late_) late_ = true;
    else lost(answer);
}

void kernel_op::retired() noexcept {
    ring_->ended(*this);
    auto& task = static_cast<control&>(*who);
    task.kernel_ended();
    work_list ready;
    // EINTR or EAGAIN after a cancel: a kernel worker was interrupted, and has done nothing.
    if (cancelling_ && (answer_ == -ECANCELED || answer_ == -EINTR || answer_ == -EAGAIN)) withdrawn();
    // A cancel that has claimed the task, but not taken this back, came too late.
    else if (!task.claim(index, ready) && !task.claim_cancelled(index)) late(answer_);
    post_all(ready);
    if (task.kernel_all_back()) task.home()->post(task);
}

} // namespace levada::detail
