#pragma once

// A task's task block: the one place that knows what the task is doing.
//
// Invariants:
// 1. A task runs on one thread at a time: it is made ready by whoever claims its park, or by itself.
// 2. While it runs, `on_` names its run; while it is parked, `parked_on_` names its operation and `leaf_` the
//    frame that awaits it. Both are written before the park is published, and read by the task's own run.
// 3. The chain of frames goes from the leaf through `promise_base::awaiting()` to the root. Every region on
//    it has a region_node, and `current()` is the innermost; the nodes' parents lead up to the task itself.
// 4. Frames are destroyed from leaf to root, by `run()`, after all live tasks of the regions they make up
//    have ended. The task block goes with its last reference.

#include <coroutine>
#include <cstdint>
#include <exception>
#include <source_location>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <levada/base/executor.hpp>
#include <levada/detail/engine/await_site.hpp>
#include <levada/detail/engine/thread_context.hpp>
#include <levada/detail/engine/tree.hpp>
#include <levada/detail/engine/waiter.hpp>

namespace levada::detail {

class promise_base;
using frame_handle = std::coroutine_handle<promise_base>;

/// What a resumed frame asks of `task_block::run` as it suspends.
enum class step : std::uint8_t {
    parked, // nothing: the task may already run elsewhere
    resume, // resume `next`
    leave,  // `next` is the body of the innermost region, or the root, and is done
    unwind, // a cancel came before the operation: destroy from `leaf_`
};

// Operations that may complete at once before a task lets others run.
inline constexpr std::uint32_t full_budget = 256;

struct task_run {
    step what = step::parked;
    std::uint32_t budget = full_budget; // operations that are left to the run
    frame_handle next;
    const thread_context& thread;
    const attention& calls; // of the loop
};

/// What the task's own thread asks, and dumps.
enum class task_flag : std::uint16_t {
    started = 1,
    unwinding = 2,
    cancel_reported = 4, // answered a cancel by an outcome; the next operation unwinds
    idle_wait = 8,       // the body of a region is done, its tasks are not
    cancelled = 16,      // ended by unwinding; set before the task counts as ended
    failed = 32,         // ended by an exception; likewise
    thrown = 64,         // holds an exception
    kernel = 128,        // parked on an operation that the kernel may have
    retiring = 512,      // claimed or cancelled, and waits for the kernel to let go
    named = 256,         // has a name in the table of names
    beginning = 1024,    // its callable is being called: arguments move into its first frame
    kept = 2048,         // ended by an exception that its group keeps, and has told nobody yet
};

/// What the holder of a join_handle and the end of the task tell each other.
enum class handle_state : std::uint8_t {
    none,   // nobody will join
    held,   // somebody may
    failed, // the task ended with an exception, which nobody has taken yet
    taken,  // joined
};

class task_block : public task_node {
public:
    task_block(executor* home, const std::source_location& where) noexcept
        : task_node(home), parked_on_(nullptr), leaf_(), started_at_(where) {}

    void run() noexcept final;
    /// Hangs the new task below a node and makes it ready.
    void launch(tree_node& below) noexcept;

    [[nodiscard]] bool has(task_flag f) const noexcept {
        return (flags_.load(std::memory_order_relaxed) & static_cast<std::uint16_t>(f)) != 0;
    }

    // For operations, on the task's own thread:

    [[nodiscard]] task_run& this_run() noexcept { return *on_; }
    /// Whether the next operation has to unwind, or to answer the cancel.
    [[nodiscard, gnu::always_inline]] bool is_cancelled() const noexcept { return current()->cancelled(); }
    /// For an operation that finds `is_cancelled()`: true when it committed an answer and the task goes on;
    /// else the task unwinds once it has suspended.
    [[nodiscard]] bool answer_or_unwind(frame_handle leaf, operation& op) noexcept;
    /// Notes what the task is about to park on. Then link, publish, and touch nothing.
    [[gnu::always_inline]] void parks(frame_handle leaf, operation& op) noexcept {
        if constexpr (diagnosis) op.since = on_->thread.clock;
        parked_on_ = &op;
        leaf_ = leaf;
    }
    /// One operation of `leaf` completed at once. True when the task has to let others run first: then it is
    /// suspended, and ready.
    [[nodiscard, gnu::always_inline]] bool completed_at_once(frame_handle leaf) noexcept {
        if (--on_->budget != 0 && !on_->calls.wanted()) [[likely]]
            return false;
        return lets_others_run(leaf);
    }
    /// Suspends and goes to the end of the queue.
    void yield(frame_handle leaf) noexcept;

    // For kernel operations, on the task's own loop: how many of this park the kernel has.

    void kernel_started() noexcept {
        set(task_flag::kernel);
        bind();
        ++in_kernel_;
    }
    void kernel_ended() noexcept { --in_kernel_; }
    /// For one that was cancelled: see operation::take_back_now.
    void take_back_now() noexcept {
        if (has(task_flag::kernel) && in_kernel_ != 0) parked_on_->take_back_now();
    }
    /// True, once, when a task that only waits for the kernel can be posted.
    [[nodiscard]] bool kernel_all_back() noexcept {
        if (in_kernel_ != 0 || !has(task_flag::retiring)) return false;
        clear(task_flag::retiring);
        return true;
    }

    void set_exception(std::exception_ptr e) noexcept;
    [[nodiscard]] std::exception_ptr take_exception() noexcept;

    // For the group that keeps its failure:

    /// The task fails, and keeps its exception until the reference goes that this takes.
    void keep_failure() noexcept {
        set(task_flag::kept);
        ref();
    }
    void failure_is_told() noexcept { clear(task_flag::kept); }
    /// For those who have a reference, or the lock of its parent.
    [[nodiscard]] std::exception_ptr kept_failure() const noexcept { return exception_; }

    // For whoever holds the join handle:

    [[nodiscard]] bool has_handle() const noexcept {
        return handle_.load(std::memory_order_acquire) != static_cast<std::uint8_t>(handle_state::none);
    }
    void hold_handle() noexcept { (void)exchange_handle(handle_state::held); }
    [[nodiscard]] handle_state take_handle() noexcept { return exchange_handle(handle_state::taken); }
    /// The handle goes: the task is cancelled, or left to itself.
    void drop_handle(bool detach) noexcept;

    [[nodiscard]] std::source_location where() const noexcept { return started_at_.where(); }
    [[nodiscard]] await_site started_at() const noexcept { return started_at_; }
    /// Notes where its leaf is about to await, on the task's own thread.
    void awaits_at(await_site at) noexcept {
        if constexpr (diagnosis) awaits_at_ = at;
    }
    [[nodiscard]] await_site awaits_at() const noexcept { return diagnosis ? awaits_at_ : await_site(); }
    [[nodiscard]] std::string name() const;
    void set_name(std::string name);
    // Between begin_look() and end_look(): what it is parked on, and the frame that awaits that.
    [[nodiscard]] const operation& parked_on() const noexcept { return *parked_on_; }
    [[nodiscard]] frame_handle leaf() const noexcept { return leaf_; }

    void set(task_flag f) noexcept {
        set_flags(static_cast<std::uint16_t>(flags_.load(std::memory_order_relaxed) |
                                             static_cast<std::uint16_t>(f)));
    }
    void clear(task_flag f) noexcept {
        set_flags(static_cast<std::uint16_t>(flags_.load(std::memory_order_relaxed) &
                                             ~static_cast<std::uint16_t>(f)));
    }

    /// The end of a task that a handle may join: a failure that nobody will hear of terminates.
    void end_for_handle() noexcept;

protected:
    ~task_block() {
        if (has(task_flag::thrown)) exception_.~exception_ptr();
        if (has(task_flag::named)) forget_name();
    }

    /// Calls the callable. Gives the root frame, or null when a plain callable has already run.
    virtual frame_handle begin() = 0;
    /// Takes the result out of the finished root frame.
    virtual void collect(frame_handle root) = 0;
    virtual void destroy_arguments() noexcept = 0;
    /// The task has ended, its frames and arguments are gone: tell whom it concerns.
    virtual void ended(after_unlock& todo) noexcept = 0;
    void terminate_with(std::exception_ptr e) const noexcept;
    void tell_dropped() noexcept;

private:
    friend struct layout;
    // Written by the task's own thread only; dumps read them, and order nothing by them.
    void set_flags(std::uint16_t to) noexcept { flags_.store(to, std::memory_order_relaxed); }
    handle_state exchange_handle(handle_state next_state) noexcept {
        return static_cast<handle_state>(exchange_flag(handle_, static_cast<std::uint8_t>(next_state)));
    }
    [[nodiscard]] bool lets_others_run(frame_handle leaf) noexcept;
    [[nodiscard]] frame_handle first_frame() noexcept;
    [[nodiscard]] frame_handle leave_body(frame_handle body) noexcept;
    [[nodiscard]] frame_handle unwind() noexcept;
    [[nodiscard]] bool await_children(tree_node& outermost) noexcept;
    void pop_scope() noexcept;
    void end() noexcept;
    [[nodiscard]] bool end_in_section(bool was_cancelled) noexcept;
    void forget_name() noexcept;

    union {
        task_run* on_;
        operation* parked_on_;
    };
    union {
        frame_handle leaf_;
        std::exception_ptr exception_; // once a frame has failed, until somebody takes it
    };
    await_site started_at_;
    await_site awaits_at_;
};

/// A task that has failed, for whoever keeps its exception.
class failed_task {
public:
    failed_task() noexcept = default;
    /// At the end of the task.
    explicit failed_task(task_block& task) noexcept : task_(&task) { task.keep_failure(); }
    failed_task(failed_task&& other) noexcept : task_(std::exchange(other.task_, nullptr)) {}
    failed_task& operator=(failed_task other) noexcept {
        std::swap(task_, other.task_);
        return *this;
    }
    ~failed_task() {
        if (task_) task_->unref();
    }
    explicit operator bool() const noexcept { return task_ != nullptr; }
    /// Throws what it threw, if there is one.
    void rethrow() const {
        if (!task_) return;
        task_->failure_is_told();
        std::rethrow_exception(task_->kept_failure());
    }

private:
    task_block* task_ = nullptr;
};

/// Calls `f` with the words of an exception, as a string view.
template <class F>
void with_words_of(const std::exception_ptr& e, const F& f) {
    try {
        std::rethrow_exception(e);
    } catch (const std::exception& ex) {
        f(std::string_view(ex.what()));
    } catch (...) {
        f(std::string_view("not a std::exception"));
    }
}

/// The task that runs on this thread, or terminates with "`what` outside of a task".
[[nodiscard]] task_block& current_task(const char* what) noexcept;

/// What a frame knows of the one that awaits it. It lies in that one.
struct await_link {
    promise_base* frame = nullptr;
    await_site at;
};

/// A region: a place in a frame where unwinding can stop. It lies in the awaiting frame.
class region_frame {
public:
    [[nodiscard]] promise_base& caller() const noexcept { return *link_.frame; }
    [[nodiscard]] const await_link& link() const noexcept { return link_; }
    [[nodiscard]] region_node& node() const noexcept { return *node_; }
    [[nodiscard]] bool told_before() const noexcept { return reported_before_; }
    /// Once a body is done and its tasks have ended: whether a cancel ended one of them.
    [[nodiscard]] virtual bool child_was_unwound() const noexcept { return false; }

    /// The body has ended, by itself or by unwinding. True when the region has nothing more to wait for.
    [[nodiscard]] virtual bool body_ended(task_block& task, bool unwound) noexcept = 0;

protected:
    region_frame() = default;
    ~region_frame() = default;
    region_frame(const region_frame&) = delete;
    region_frame& operator=(const region_frame&) = delete;

    /// Opens the region and makes it current. What throws after that has to leave it as the body does.
    void enter(node_kind kind, task_block& task, promise_base& caller);

private:
    friend class task_block;
    friend struct layout;
    await_link link_;
    region_node* node_ = nullptr;
    bool reported_before_ = false;
};

} // namespace levada::detail
