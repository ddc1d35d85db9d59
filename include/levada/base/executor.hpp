#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <levada/base/clock.hpp>
#include <levada/detail/util/attention.hpp>
#include <levada/detail/util/timer_queue.hpp>

namespace levada {

class executor;

namespace detail {
class work_list;
class enter_executor;
class task_block;
class tree_node;
class source_node;
class waiter;
class ring;
struct layout;
struct thread_context;
} // namespace detail

/// A thing to run once on an executor: a ready task, a posted function.
class work {
public:
    virtual void run() noexcept = 0;
    /// Asked of a work that is ready, by whoever took it from its queue: whether it may run on another loop
    /// of the same runtime, `to`, and will from now on. A task may; functions, and tasks that are bound to
    /// their loop, may not.
    [[nodiscard]] virtual bool move_to(executor&) noexcept { return false; }

protected:
    work() = default;
    ~work() = default;
    work(const work&) = delete;
    work& operator=(const work&) = delete;

private:
    friend class detail::work_list;
    work* next_ = nullptr;
};

/// Where tasks run: the small interface that all waking goes through. Channels, select, tokens and tasks
/// know nothing else of loops, so a loop of one's own is a class that derives from this one.
///
/// A loop runs every posted `work` once, on the thread that it calls its own, and never inside `post`.
/// It calls `run_timers()` on that thread once the deadline that `arm` last named has come.
class executor {
public:
    executor();
    virtual ~executor();
    executor(const executor&) = delete;
    executor& operator=(const executor&) = delete;

    /// Makes `w` run soon, on a fair loop in the order of posting. Any thread; never inline; must not fail,
    /// nor wait for a thread that may be in the library.
    virtual void post(work& w) noexcept = 0;
    /// Makes a waiter that was claimed on this loop's thread ready. Its own loop runs it, or this one if it
    /// may move: it is likely to touch what was just touched here.
    virtual void wake(detail::waiter& p) noexcept;
    /// The same for a task that was just made on this loop's thread, and lives here.
    virtual void start(work& w) noexcept { post(w); }
    /// The same for a task that runs here and lets the others go first.
    virtual void yield(work& w) noexcept { post(w); }
    /// The same for one that has to let go before its budget is used up.
    virtual void interrupted(work& w) noexcept { post(w); }
    /// A limit has come for a task that is ready on this loop. On its thread.
    virtual void hurry(work&) noexcept {}
    /// Asked by a running task after an operation that completed at once: when its budget is used up, and
    /// whenever the loop wants attention. True when the run goes on: then there is budget.
    [[nodiscard]] virtual bool goes_on(std::uint32_t& budget) noexcept { return budget != 0; }
    /// The nearest timer is now `deadline`. Called on the loop's thread.
    virtual void arm(time_point deadline) noexcept = 0;
    /// A task that runs here is about to do something that others can see: a loop for tests may let others
    /// run first.
    virtual void schedule_point() noexcept {}
    /// The loop's clock.
    [[nodiscard]] virtual time_point now() const noexcept;

    /// The executor that runs the calling thread's current task or function; null outside of loops.
    [[nodiscard]] static executor* current() noexcept;

    /// Whether the calling thread is the one that runs this loop, in a turn or between two.
    [[nodiscard]] virtual bool on_own_thread() const noexcept { return current() == this; }

    /// Fires the timers that are due by `now()`, and gives the next deadline (`time_point::max()`: none).
    time_point run_timers() noexcept;
    [[nodiscard]] time_point next_deadline() const noexcept { return timers_.earliest(); }

    void add_timer(detail::timer_node& t, time_point deadline) noexcept;
    void remove_timer(detail::timer_node& t) noexcept { timers_.erase(t); }

    /// Pseudo-random numbers for select: `n` > 0 gives one in [0, n). Follows the seed.
    [[nodiscard]] std::uint32_t random(std::uint32_t n) noexcept {
        rng_ ^= rng_ << 13; // xorshift64 (Marsaglia 2003), scaled by multiplication (Lemire 2019)
        rng_ ^= rng_ >> 7;
        rng_ ^= rng_ << 17;
        return static_cast<std::uint32_t>(((rng_ >> 32) * n) >> 32);
    }

    /// The io_uring of this loop, if it has one.
    [[nodiscard]] virtual detail::ring* kernel() noexcept { return nullptr; }
    /// Where this loop takes ready work from, on its own thread; null if it has another way.
    [[nodiscard]] detail::work_list* direct() const noexcept { return direct_; }
    /// The same for tasks that were just made.
    [[nodiscard]] detail::work_list* direct_start() const noexcept { return direct_start_; }
    /// What the thread that runs this loop is running; null while none does.
    [[nodiscard]] detail::thread_context* context() const noexcept { return context_; }
    /// What interrupts the tasks that run here.
    [[nodiscard]] const detail::attention& calls() const noexcept { return *calls_; }
    /// The root of all tasks and tokens that live here, and on the loops that share it.
    [[nodiscard]] detail::tree_node& root() noexcept { return *root_; }
    /// What `go` hangs its tasks on: the root, or where loops share one, a node of this loop's own below it,
    /// so that they do not meet at one lock.
    [[nodiscard]] detail::tree_node& local_root() noexcept { return *local_root_; }
    /// The roots of all executors of the process, each once, with a reference that the caller drops.
    /// *Threads*: any.
    [[nodiscard]] static std::vector<detail::tree_node*> roots();
    /// For loops that work together: takes the root of `other`. Before anything lives here.
    void share_root(executor& other);
    /// Whether both are loops of one runtime, or the same.
    [[nodiscard]] bool works_with(const executor& other) const noexcept { return root_ == other.root_; }

protected:
    /// Fires `most` of the timers that are due at most.
    time_point run_timers(std::size_t most) noexcept;
    void seed(std::uint64_t s) noexcept;
    void set_direct(detail::work_list& ready, detail::work_list& fresh) noexcept {
        direct_ = &ready;
        direct_start_ = &fresh;
    }
    void set_calls(const detail::attention& a) noexcept { calls_ = &a; }
    void forget_direct() noexcept { direct_ = direct_start_ = nullptr; }
    /// After a shutdown, which cancels the root: a new one for what is started next. It was made before,
    /// since destructors shut down, too. Where there is no memory for one more, the next shutdown keeps its
    /// root.
    void renew_root() noexcept;

private:
    friend class detail::enter_executor;
    friend struct detail::layout;
    struct registry; // of all executors: dumps go over them
    void drop_roots() noexcept;

    detail::work_list* direct_ = nullptr;
    detail::work_list* direct_start_ = nullptr;
    detail::thread_context* context_ = nullptr;
    const detail::attention* calls_ = &detail::no_attention;
    detail::timer_queue timers_;
    std::uint64_t rng_;
    executor* next_ = nullptr; // in the registry, as prev_
    executor* prev_ = nullptr;
    detail::tree_node* root_;       // changed under the registry's lock
    detail::tree_node* local_root_; // with a reference of its own where it is another
    detail::source_node* next_root_;
};

} // namespace levada
