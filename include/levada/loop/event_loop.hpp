#pragma once

#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <source_location>
#include <thread>
#include <type_traits>
#include <utility>

#include <levada/base/executor.hpp>
#include <levada/detail/engine/work_list.hpp>
#include <levada/detail/loop/submit_op.hpp>
#include <levada/detail/task/main_task.hpp>
#include <levada/detail/task/starter.hpp>
#include <levada/detail/util/attention.hpp>
#include <levada/detail/util/lock.hpp>
#include <levada/loop/guest_ring.hpp>
#include <levada/task/spawn.hpp>

struct io_uring_cqe;

namespace levada {

namespace detail {
class alarm;
class poll_fd;
class loop_group;
class watcher;
class offered_work;
class run_queue;
struct ready_half;
class granularity;
class wakeup_fd;
} // namespace detail

/// One thread's loop on one io_uring: a run queue, timers, kernel operations, and functions posted by other
/// threads.
///
/// It may be made on one thread and run on another; the thread that runs it first is its own from then on.
/// Destroying it cancels what lives on it and drains its ring first, which has to be done on its own thread;
/// once no task lives on it, and no stream or listener that was last used on it is open, any thread may.
/// (After `run()` has come to its end, such streams do not matter.)
class event_loop final : public executor {
public:
    /// Throws `std::system_error` that says what to do where the kernel gives no io_uring.
    event_loop();
    /// Lives in a ring that somebody else owns and waits on: a guest. The owner, on one thread, goes round:
    /// `run_ready()`; submit, and wait for a completion until `next_deadline()` at most; `dispatch()` of each
    /// completion. Posts and wake-ups from other threads come as completions too. `run`, `run_once`, `poll`
    /// and `fd` terminate. The destructor cancels and joins what lives here, as ever: for that it submits and
    /// waits in the owner's ring, takes what is ours out, and leaves the owner's completions (those that were
    /// dispatched before have to be marked as seen). Throws `std::system_error`.
    explicit event_loop(const guest_ring& host);
    ~event_loop() override;

    /// Runs until no task lives on it and nothing is posted, or until `stop()`.
    void run();
    /// Does what can be done now; sleeps before that for at most `timeout` if there is nothing. Says whether
    /// anything was done.
    bool run_once(duration timeout);
    /// Does what can be done now, without sleeping. Says whether anything was done.
    bool poll() { return run_once(duration::zero()); }
    /// A descriptor for another loop to poll, on the thread that calls `poll()` then: readable whenever
    /// `poll()` would do something (a ready task, a due timer, a completion, a post), and until it was
    /// called.
    ///
    /// It is an epoll set, good for poll, select, epoll, and what is built on them; it is the loop's, not to
    /// be closed, read or written. The first call makes the calling thread the loop's own. From then on posts
    /// and wake-ups from outside of a turn cost a system call. Not for loops of a runtime. Throws
    /// `std::system_error`.
    [[nodiscard]] int fd();
    /// For a guest's owner: whether the completion is one of ours; if so its task is made ready, and runs in
    /// `run_ready()`. The owner marks it as seen, as all others.
    bool dispatch(const io_uring_cqe& cqe) noexcept;
    bool dispatch(const io_uring_cqe* cqe) noexcept { return dispatch(*cqe); }
    /// For a guest's owner: runs tasks that are ready, posted functions and due timers, up to a limit, of
    /// their number and of about a millisecond: those that go on for ever leave the owner its turn. Where
    /// some are ready still, `next_deadline()` is now. Says whether anything was done. The entries that they
    /// made are in the ring afterwards, for the owner to submit.
    bool run_ready();
    /// When there is next something to do without a completion: now, while tasks are ready; else the nearest
    /// timer; `time_point::max()` if there is none.
    [[nodiscard]] time_point next_deadline() const noexcept;
    /// Makes `run()` return after the turn that it is in; the next `run()`, if none is on. *Threads*: any.
    void stop() noexcept;

    /// `go(f, args...)` starts a task on this loop, as `levada::go` does. Before it runs, or on its thread.
    LEVADA_INTERNAL_STARTER(void, go, go_at)
    /// `spawn(f, args...)`: the same with a handle to join.
    LEVADA_INTERNAL_STARTER([[nodiscard]] auto, spawn, spawn_at)
    /// Calls `f()` on the loop's thread. *Threads*: any. An exception from it terminates.
    template <class F>
        requires(std::invocable<F&> && !std::derived_from<std::remove_cvref_t<F>, work>)
    void post(F f) {
        detail::check_dropped<std::invoke_result_t<F&>>();
        auto w = std::make_unique<posted<F>>(std::move(f));
        post(static_cast<work&>(*w.release()));
    }
    void post(work& w) noexcept override;

    /// Any operation of io_uring, in a task of this loop: `prep` gets an `io_uring_sqe*` and fills it, as by
    /// liburing's `io_uring_prep_...`; `auto n = co_await loop.submit([&](io_uring_sqe* sqe) { ... });`
    ///
    /// *Suspends* until the kernel has completed it. *Outcomes*: its answer, `result<int>`; a negative one is
    /// the system's error. *Cancel*: the kernel is asked to give it up; what it completed all the same is
    /// reported as done, so a descriptor in the answer is not lost. Buffers have to live until then: those
    /// of the awaiting frame do. `prep` is called as the entry is made, perhaps later than the call, and once
    /// more if the queue was full; it must not throw. No multishot, no link, no skipped completion; its
    /// `user_data` is ours. A send without a copy (`io_uring_prep_send_zc`) is over when the kernel has let
    /// go of the buffer, which for TCP is when the peer has all of it, and no cancel makes that sooner. Not
    /// an arm of select: spawn it, and select on `join()`.
    template <class F>
        requires std::invocable<F&, io_uring_sqe*>
    [[nodiscard]] auto submit(F prep) {
        return detail::submit_op<F>(*this, std::move(prep));
    }

    /// The loop that runs the calling thread's tasks; null where there is none.
    [[nodiscard]] static event_loop* current() noexcept;

    /// The operations that the kernel has for tasks of this loop.
    [[nodiscard]] std::size_t in_flight() const noexcept;
    [[nodiscard]] detail::ring* kernel() noexcept override { return ring_.get(); }
    void arm(time_point deadline) noexcept override;
    void wake(detail::waiter& p) noexcept override;
    void start(work& w) noexcept override;
    void yield(work& w) noexcept override;
    void interrupted(work& w) noexcept override;
    void hurry(work& w) noexcept override;
    [[nodiscard]] bool goes_on(std::uint32_t& budget) noexcept override;

    /// For runtimes: runs until `main` has ended, then cancels and joins all that is left. False when all
    /// tasks fell asleep for ever, which was reported on stderr.
    [[nodiscard]] bool run_main(detail::task_block& main, duration shutdown_limit);

private:
    friend class detail::loop_group;
    friend class detail::watcher;
    template <class F>
    class posted final : public work {
    public:
        explicit posted(F f) : f_(std::move(f)) {}
        void run() noexcept override {
            std::unique_ptr<posted> self(this);
            static_cast<void>(f_());
        }

    private:
        F f_;
    };

    template <class F, class... A>
    void go_at(const std::source_location& where, F&& f, A&&... args) {
        detail::check_startable<F, A...>();
        detail::make_task_block(*this, where, detail::joined_end(), std::forward<F>(f),
                                std::forward<A>(args)...)
            .launch(local_root());
    }
    template <class F, class... A>
    auto spawn_at(const std::source_location& where, F&& f, A&&... args) {
        return detail::start_main(*this, where, std::forward<F>(f), std::forward<A>(args)...);
    }

    explicit event_loop(std::unique_ptr<detail::ring> r);
    void enter();
    bool turn(time_point until);
    void rest() noexcept;
    void call() noexcept; // with the inbox's lock held
    [[nodiscard]] bool anything_ready() const noexcept;
    [[nodiscard]] bool run_tasks() noexcept;
    [[nodiscard]] bool turn_is_over(std::uint32_t operations) noexcept;
    void look(std::uint32_t operations) noexcept;
    void offer_ahead() noexcept;
    [[nodiscard]] bool shares() const noexcept;
    [[nodiscard]] bool judges() const noexcept;
    [[nodiscard]] std::uint64_t steps() const noexcept;
    void set_alarm(bool others_wait) noexcept;
    void serve_timers() noexcept;
    void serve_ring(time_point until) noexcept;
    class urgent_wakes;
    void wake_urgently(bool urgent) noexcept;
    [[nodiscard]] bool take_inbox() noexcept;
    [[nodiscard]] bool asleep_for_ever() const noexcept;
    void shut_down(duration limit);
    void end_multishots() noexcept;
    bool sleep(time_point until);

    // For the loop_group.
    void join_group(detail::loop_group& c, event_loop& first);
    void run_in_group(const std::atomic<bool>& stop) noexcept;
    void end_all();
    /// Runs what was posted after its thread had ended, on the calling one. True if there was anything.
    bool run_late() noexcept;
    [[nodiscard]] bool on_own_thread() const noexcept override {
        return !entered_ || owner_ == std::this_thread::get_id();
    }
    void nudge() noexcept;
    [[nodiscard]] bool offers_work() const noexcept;
    void ask_for_work() noexcept { attention_.set(detail::attention::look); }
    [[nodiscard]] bool let_steal(event_loop& thief) noexcept;
    [[nodiscard]] bool quiet() const noexcept {
        return quiet_.load(std::memory_order_seq_cst) && !attention_.has(detail::attention::posted);
    }
    bool offer(int most) noexcept;
    void publish_offer(detail::ready_half&& taken) noexcept;
    void show_lists() noexcept;
    void watch() noexcept;

    // For the watcher, on its thread.
    [[nodiscard]] bool rests() const noexcept { return rests_.load(std::memory_order_acquire); }
    [[nodiscard]] std::uint64_t ran() const noexcept { return ran_.load(std::memory_order_relaxed); }
    [[nodiscard]] bool anything_waits() const noexcept;
    /// The processor time of its thread, in ns; 0 where it is not known.
    [[nodiscard]] std::uint64_t processor_time() const noexcept;
    /// Offers half of what is ready, while a task computes. False if there was nothing.
    bool offer_behind_it() noexcept;

    std::uint64_t may_run_until_ = 0;   // in ticks: before, nothing ends the turn but its count
    std::atomic<std::uint64_t> ran_{0}; // works, all of them; relaxed: others only see it change
    unsigned granularity_looks_ = 0;    // to take in this turn
    std::uint32_t budget_kept_ = 0;     // of the running task's, until the next of them
    unsigned hurries_ = 0;              // that are left to this turn
    bool late_ = false;                 // in run_late
    bool usual_left_out_ = false;       // in the last turn, which the urgent works filled
    detail::attention attention_;
    std::unique_ptr<detail::ring> ring_;
    std::unique_ptr<detail::alarm> alarm_;
    std::unique_ptr<detail::wakeup_fd> wakeup_fd_;
    std::unique_ptr<detail::run_queue> queue_;
    std::unique_ptr<detail::offered_work> offered_; // ready tasks that other loops may take
    std::unique_ptr<detail::poll_fd> poll_fd_;      // once somebody polls fd(); set under the inbox's lock
    bool entered_ = false;
    unsigned made_in_;      // the process, for who forks
    std::thread::id owner_; // once entered
    std::atomic<bool> stop_{false};

    // Guards inbox_, and poll_fd_ while it is set. Who posts or stops holds it until it has let go of the
    // loop.
    detail::thread_lock inbox_lock_;
    detail::work_list inbox_;
    std::atomic<bool> nudged_{false};   // to look around again
    std::atomic<bool> sleeping_{false}; // the loop is, or is about to be, asleep in the kernel

    detail::loop_group* group_ = nullptr;
    std::unique_ptr<detail::granularity> granularity_; // with a loop_group
    bool coarse_ = false;                              // the work here is worth another thread
    bool watched_ = true;                    // somebody sees when a task here computes for long, or need not
    std::atomic<bool> rests_{true};          // asleep, or not run at all; see the invariants of watcher.hpp
    std::atomic<clockid_t> clock_{no_clock}; // of its thread's processor time
    static constexpr clockid_t no_clock = -1;
    bool offers_ahead_ = true;       // for those who are not idle yet; not again this turn if none may move
    std::atomic<bool> quiet_{false}; // asleep, with nothing in the kernel and no timer
    unsigned looks_ = 0;             // for a deadlock, since a task has run
};

} // namespace levada
