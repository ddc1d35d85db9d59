#include "ring.hpp"

#include "above_standard.hpp"
#include "buffer_pool.hpp"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <functional>
#include <string>
#include <system_error>

#include <levada/detail/loop/submit_op.hpp>
#include <levada/detail/util/fatal.hpp>

namespace levada::detail {
namespace {

constexpr unsigned entries = 256;
constexpr unsigned completions = 4096;
constexpr std::uint64_t cancel_tag = 1;
constexpr int tag_shift = 48; // addresses of ours lie below it
constexpr std::uint64_t address_bits = (std::uint64_t(1) << tag_shift) - 1;

std::uint64_t tag_bits(std::uint64_t tag) {
    const std::uint64_t bits = (tag & address_bits) == 0 ? tag : tag << tag_shift;
    if (bits == 0 || (tag != bits && tag >> (64 - tag_shift) != 0))
        throw std::system_error(std::make_error_code(std::errc::invalid_argument),
                                "guest_ring: the tag has to be a number from 1 to 65535, or that in the top "
                                "16 bits");
    return bits;
}

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

ring::ring() : ring_(&own_) {
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
        error = -io_uring_queue_init_params(entries, ring_, &params);
        if (error == 0) {
            const int moved = above_standard(ring_->ring_fd);
            ring_->ring_fd = ring_->enter_ring_fd = moved;
            if (moved < 0) {
                error = errno;
                io_uring_queue_exit(ring_);
                break;
            }
            disabled_ = (flags & IORING_SETUP_R_DISABLED) != 0;
            io_uring_ring_dontfork(ring_);
            return;
        }
        if (error != EINVAL) break;
    }
    throw_setup_error(error);
}

ring::ring(const guest_ring& host) : ring_(host.ring), tag_(tag_bits(host.tag)) {
    if (!ring_ || ring_->ring_fd < 0)
        throw std::system_error(std::make_error_code(std::errc::invalid_argument),
                                "guest_ring: there is no ring");
}

ring::~ring() {
    if (!is_guest()) io_uring_queue_exit(ring_);
    if (buffers_ && !forgets_) buffers_->close(); // else it leaks: the kernel might write there yet
}

buffer_pool* ring::buffers() noexcept {
    if (no_buffers_ || is_guest()) return nullptr; // the owner of a guest's ring has its own buffer groups
    if (!buffers_) {
        buffers_ = buffer_pool::make(*this, *ring_);
        no_buffers_ = !buffers_;
    }
    return buffers_;
}

bool ring::hand_over() noexcept {
    while (io_uring_submit_and_get_events(ring_) == -EINTR) {
    }
    if ((ring_->flags & IORING_SETUP_SQPOLL) != 0) {
        while (io_uring_sq_ready(ring_) != 0) { // its thread takes them
            (void)io_uring_submit(ring_);
            ::sched_yield();
        }
    }
    return io_uring_sq_ready(ring_) == 0;
}

void ring::end_multishots() noexcept {
    for (auto* m = multishots_.front(); m;) {
        auto* const following = multishots_.next(*m);
        m->self->end_loop(); // it may go at once
        m = following;
    }
    while (!multishots_.empty()) wait(time_point::max());
}

void ring::enable() {
    if (!disabled_) return;
    // liburing 2.3 declares io_uring_enable_rings without exporting it.
    const long r =
        ::syscall(__NR_io_uring_register, ring_->ring_fd, IORING_REGISTER_ENABLE_RINGS, nullptr, 0);
    if (r < 0)
        throw std::system_error(errno, std::system_category(), "io_uring cannot be enabled on this thread");
    disabled_ = false;
}

void ring::signal_to(int event_fd) {
    if (const int r = io_uring_register_eventfd(ring_, event_fd); r < 0)
        throw std::system_error(-r, std::system_category(), "event_loop::fd");
}

// A free entry; the kernel is handed what is queued when there is none. Null while it takes no more.
io_uring_sqe* ring::entry() noexcept {
    if (is_guest() && io_uring_sq_ready(ring_) != 0) {
        const auto& sq = ring_->sq;
        const unsigned wide = (ring_->flags & IORING_SETUP_SQE128) != 0 ? 1 : 0;
        const io_uring_sqe& last = sq.sqes[((sq.sqe_tail - 1) & sq.ring_mask) << wide];
        if ((last.flags & (IOSQE_IO_LINK | IOSQE_IO_HARDLINK)) != 0)
            fatal("guest_ring: the last entry in the ring is linked to the next one, which would be one of "
                  "ours: finish the chain before a task of the loop may run");
    }
    if (io_uring_sqe* sqe = io_uring_get_sqe(ring_)) return sqe;
    while (io_uring_submit(ring_) == -EINTR) {
    }
    tell_queued(); // some may have completed at once
    if ((ring_->flags & IORING_SETUP_SQPOLL) != 0) io_uring_sqring_wait(ring_); // its thread takes them
    return io_uring_get_sqe(ring_);
}

bool ring::put(ring_entry& op) noexcept {
    io_uring_sqe* sqe = entry();
    if (!sqe) return false;
    op.prepare(*sqe);
    io_uring_sqe_set_data64(sqe, tag_ | reinterpret_cast<std::uint64_t>(&op));
    return true;
}

bool ring::put_cancel(ring_entry& op) noexcept {
    io_uring_sqe* sqe = entry();
    if (!sqe) return false;
    const std::uint64_t id = tag_ | reinterpret_cast<std::uint64_t>(&op);
    io_uring_prep_cancel64(sqe, id, 0);
    io_uring_sqe_set_data64(sqe, id | cancel_tag);
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
    tell_queued();
}

void ring::tell_queued() noexcept {
    if (calls_ && !calls_->has(attention::queued, std::memory_order_relaxed)) calls_->set(attention::queued);
}

void ring::cancel(ring_entry& op) noexcept {
    if (op.waits_ && op.pending_ == 1) { // the kernel never saw it
        waiting_.erase(op);
        op.waits_ = false;
        op.cancelling_ = true;
        op.completed(-ECANCELED, 0, false);
        return;
    }
    op.cancelling_ = true;
    ++op.pending_;
    if (!put_cancel(op)) {
        op.waits_ = true;
        waiting_.push_back(op);
    }
    tell_queued();
}

void ring::flush() noexcept {
    int r;
    do r = io_uring_submit(ring_);
    while (r == -EINTR);
    check_entered(r); // what it has not taken the next poll hands over
    // What completed at once raises no flag of the kernel's.
    if (calls_ && waiting_.empty() && io_uring_sq_ready(ring_) == 0 && io_uring_cq_ready(ring_) == 0)
        calls_->clear(attention::queued);
}

void ring::call(attention& calls) noexcept {
    calls_ = &calls;
    if (is_guest()) {
        // Its owner made the ring and takes the completions: what it tells is not known, so it always calls.
        static constexpr unsigned something = 1;
        calls.watch(&something, 0);
    } else if ((ring_->flags & IORING_SETUP_DEFER_TASKRUN) != 0) {
        calls.watch(ring_->sq.kflags, 0); // IORING_SQ_TASKRUN, or that completions found no room
    } else {
        calls.watch(ring_->cq.ktail, *ring_->cq.khead);
    }
}

void ring::seen(attention& calls) const noexcept {
    if (calls.has(attention::queued, std::memory_order_relaxed) && waiting_.empty() &&
        io_uring_sq_ready(ring_) == 0)
        calls.clear(attention::queued);
    if (!is_guest() && (ring_->flags & IORING_SETUP_DEFER_TASKRUN) == 0) calls.set_quiet(*ring_->cq.khead);
}

bool ring::has_news() const noexcept {
    const auto& cq = ring_->cq;
    return (IO_URING_READ_ONCE(*ring_->sq.kflags) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0 ||
           // Whoever sees that the loop has taken one sees what it did before that.
           IO_URING_READ_ONCE(*cq.ktail) != io_uring_smp_load_acquire(cq.khead);
}

bool ring::wants_poll() noexcept { return io_uring_sq_ready(ring_) != 0 || !waiting_.empty() || has_news(); }

// ETIME: the deadline. EINTR: a signal; the loop looks around and waits again. EAGAIN and EBUSY: out of
// memory, or the completion queue is full: reap, and try again next turn. ENOMEM: likewise, for a while.
void ring::check_entered(int answer) noexcept {
    if (answer == -ENOMEM && ++without_memory_ <= most_without_memory) {
        ::usleep(1000);
        return;
    }
    if (answer < 0 && answer != -ETIME && answer != -EINTR && answer != -EAGAIN && answer != -EBUSY) {
        char words[128];
        fatal({"io_uring_enter failed", answer == -ENOMEM ? ", again and again" : "", ": ",
               ::strerror_r(-answer, words, sizeof(words))});
    }
    without_memory_ = 0;
}

void ring::poll() noexcept {
    int r;
    do r = io_uring_submit_and_get_events(ring_);
    while (r == -EINTR);
    check_entered(r);
    if (is_guest()) (void)reap_among_others();
    else reap();
}

int ring::submit_and_wait(unsigned completions_wanted, time_point deadline) noexcept {
    if (deadline == time_point::max()) return io_uring_submit_and_wait(ring_, completions_wanted);
    const auto left = std::max(duration::zero(), deadline - std::chrono::steady_clock::now());
    const auto seconds = std::chrono::floor<std::chrono::seconds>(left);
    __kernel_timespec ts{};
    ts.tv_sec = seconds.count();
    ts.tv_nsec = std::chrono::nanoseconds(left - seconds).count();
    io_uring_cqe* first = nullptr;
    return io_uring_submit_and_wait_timeout(ring_, &first, completions_wanted, &ts, nullptr);
}

void ring::wait(time_point deadline, std::atomic<bool>* rests) noexcept {
    const auto rests_no_more = [rests] {
        if (rests) rests->store(false, std::memory_order_seq_cst);
    };
    if (is_guest()) return wait_among_others(deadline);
    if (deadline != time_point::max() && deadline <= std::chrono::steady_clock::now()) {
        rests_no_more();
        return poll();
    }
    const int r = submit_and_wait(1, deadline);
    rests_no_more();
    check_entered(r);
    reap();
}

void ring::reap() noexcept {
    for (;;) {
        unsigned head;
        unsigned n = 0;
        io_uring_cqe* cqe;
        // The operations are told after the queue was advanced: they may submit, and fill it, again.
        constexpr unsigned batch = 64;
        std::array<completion, batch> got;
        io_uring_for_each_cqe(ring_, head, cqe) {
            got[n++] = {cqe->user_data, cqe->res, cqe->flags};
            if (n == batch) break;
        }
        io_uring_cq_advance(ring_, n);
        for (unsigned i = 0; i < n; ++i) complete(got[i]);
        if (n == batch) continue;
        if (!io_uring_cq_has_overflow(ring_) || io_uring_get_events(ring_) < 0) break;
    }
    refill();
}

void ring::complete(const completion& c) noexcept {
    auto* op = reinterpret_cast<ring_entry*>(c.user_data & address_bits & ~cancel_tag);
    op->completed(c.result, c.flags, (c.user_data & cancel_tag) != 0);
}

void ring::refill() noexcept {
    while (ring_entry* op = waiting_.front()) {
        // Either the operation itself waits for an entry, or its cancel does.
        if (!(op->cancelling_ ? put_cancel(*op) : put(*op))) return;
        op->waits_ = false;
        waiting_.erase(*op);
    }
}

bool ring::dispatch(const io_uring_cqe& cqe) noexcept {
    if ((cqe.user_data & ~address_bits) != tag_) return false;
    const std::uint64_t user_data = cqe.user_data;
    // The owner may mark it as seen later than we wait next.
    const io_uring_cqe* const all = ring_->cq.cqes;
    const std::size_t wide = (ring_->flags & IORING_SETUP_CQE32) != 0 ? 2 : 1;
    if (std::less_equal<>()(all, &cqe) && std::less<>()(&cqe, all + wide * *ring_->cq.kring_entries))
        const_cast<io_uring_cqe&>(cqe).user_data = tag_;
    // One without an address was taken before, by a wait.
    if ((user_data & address_bits) != 0) complete({user_data, cqe.res, cqe.flags});
    refill();
    return true;
}

// Ours are told at once, and their places in the queue, which the host has to pass, are left without an
// address.
bool ring::reap_among_others() noexcept {
    constexpr unsigned batch = 64;
    bool any = false;
    for (;;) {
        std::array<completion, batch> got;
        unsigned n = 0;
        unsigned head;
        io_uring_cqe* cqe;
        io_uring_for_each_cqe(ring_, head, cqe) {
            if ((cqe->user_data & ~address_bits) != tag_ || (cqe->user_data & address_bits) == 0) continue;
            got[n++] = {cqe->user_data, cqe->res, cqe->flags};
            cqe->user_data = tag_;
            if (n == batch) break;
        }
        if (n == 0) return any;
        any = true;
        for (unsigned i = 0; i < n; ++i) complete(got[i]);
        refill();
    }
}

// Moves what is the owner's to the end of the queue, and gives the places that were ours back to the kernel.
void ring::close_gaps() noexcept {
    const auto& cq = ring_->cq;
    const unsigned mask = *cq.kring_mask;
    const unsigned wide = (ring_->flags & IORING_SETUP_CQE32) != 0 ? 1 : 0;
    const unsigned head = *cq.khead;
    const unsigned tail = head + io_uring_cq_ready(ring_);
    unsigned to = tail;
    for (unsigned at = tail; at-- != head;) {
        const io_uring_cqe& from = cq.cqes[(at & mask) << wide];
        if (from.user_data == tag_) continue;
        if (--to != at) std::memcpy(&cq.cqes[(to & mask) << wide], &from, sizeof(io_uring_cqe) << wide);
    }
    io_uring_cq_advance(ring_, to - head);
}

void ring::wait_among_others(time_point deadline) noexcept {
    while (!reap_among_others()) {
        refill();
        if (ending_) close_gaps();
        const unsigned there = io_uring_cq_ready(ring_);
        if (there >= *ring_->cq.kring_entries)
            fatal("guest_ring: the completion queue is full of completions that its owner has not taken, so "
                  "ours "
                  "cannot come: take them before the event_loop, or what waits in it, is destroyed");
        const int r = submit_and_wait(there + 1, deadline);
        if (r == -ETIME) return;
        check_entered(r);
    }
    if (ending_) close_gaps();
}

void ring::forget_multishots() noexcept {
    while (auto* const m = multishots_.front()) {
        if (!m->self->forget())
            fatal(
                "an event_loop was destroyed on another thread than the one that ran it, while a stream or a "
                "listener that has been used on it is open: close it first, or let run() return");
        multishots_.erase(*m);
        forgets_ = true;
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
    auto& task = static_cast<task_block&>(*who);
    ring_ = task.home()->kernel();
    if (!ring_) fatal("a kernel operation was awaited on a loop that has no ring: it needs an event_loop");
    task.kernel_started();
    done_ = answered_ = false;
    ring_->submit(*this);
    return false;
}

bool kernel_op::withdraw() noexcept {
    if (pending_ != 0 && !cancelling_ && !done_) ring_->cancel(*this);
    return pending_ == 0;
}

void kernel_op::take_back_now() noexcept {
    while (!withdraw()) ring_->wait(time_point::max());
}

void kernel_op::completed(int result, unsigned flags, bool of_cancel) noexcept {
    if (!of_cancel && (flags & IORING_CQE_F_MORE) != 0) {
        // Sent without a copy: until the last completion the kernel has the buffer.
        answer_ = result;
        answered_ = true;
        return;
    }
    --pending_;
    if (!of_cancel) {
        if (answered_) result = answer_;
        if (again(result) && !cancelling_) {
            ring_->ended(*this);
            ring_->submit(*this);
            return;
        }
        done_ = true;
        answer_ = result;
    } else if (result == -ENOENT && !done_ && !answered_) {
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
    auto& task = static_cast<task_block&>(*who);
    task.kernel_ended();
    work_list ready;
    // EINTR or EAGAIN after a cancel: a kernel worker was interrupted, and has done nothing.
    if (cancelling_ && (answer_ == -ECANCELED || answer_ == -EINTR || answer_ == -EAGAIN)) {
        withdrawn();
        // One that was taken back on the spot, where a shield keeps the cancel off its task: it goes on.
        (void)task.claim(index, ready);
    }
    // A cancel that has claimed the task, but not taken this back, came too late.
    else if (!task.claim(index, ready) && !task.claim_cancelled(index))
        late(answer_);
    post_all(ready);
    if (task.kernel_all_back()) task.home()->post(task);
}

} // namespace levada::detail
