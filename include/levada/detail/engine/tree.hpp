#pragma once

// The cancel tree. Sources, tasks, groups and regions are nodes; callbacks and waiting operations are
// leaves. The tree of tokens and the tree of tasks are one tree.
//
// Invariants:
// 1. A node's lock guards its list of children, its mark being set, its reason and its `live` count.
// 2. Locks are taken from parents to children, never upwards.
// 3. A linked child holds a reference on its parent, so a parent outlives its links.
// 4. A node is marked once, reason first; all that hangs below is marked or will be by the same walk, which
//    holds the locks of the path it stands on. What links to a marked node is born marked.
// 5. Nothing of a user's runs under these locks: the walk collects ready tasks and callbacks.
// 6. Of a source that threads contend for, waiters hang in shards: each has a lock, which guards its list and
//    is taken after the node's, and a count of its own, which stands for one reference on the node. A waiter
//    is linked under its shard's lock after a look at the mark; the walk sets the mark, then takes each
//    shard's lock. So it finds the waiter, or the waiter finds the mark. Shards are made under the node's
//    lock while the node has an owner, which lets go of the first count of each when it goes; they are freed
//    with the node.

#include <atomic>
#include <cstdint>
#include <memory>
#include <system_error>

#include <levada/detail/engine/waiter.hpp>
#include <levada/detail/engine/work_list.hpp>
#include <levada/detail/util/intrusive_list.hpp>
#include <levada/detail/util/lock.hpp>

namespace levada::detail {

enum class node_kind : std::uint8_t {
    source,    // of a cancel_source, or an executor's root
    task,      // a task_node
    region,    // a region_node: a part of a task
    shield,    // a region_node that cancelling does not enter
    group,     // a task_group's
    callback,  // a leaf: callback_entry
    on_cancel, // a leaf: wakes when its parent is marked
    on_end,    // a leaf: wakes when its parent, a task, has ended
    on_idle,   // a leaf: wakes when its parent has no live tasks
    cursor,    // a leaf: where a tree_walk stands
};

class tree_node;

/// What hangs in the tree.
struct tree_entry : list_hook {
    explicit tree_entry(node_kind k) noexcept : kind(k) {}
    tree_node* parent = nullptr;
    const node_kind kind;
};

/// A leaf by which an arm waits for its parent.
struct tree_waiter : tree_entry {
    tree_waiter(node_kind k, arm& a) noexcept : tree_entry(k), target(a) {}
    std::uint8_t shard = 0; // of its parent's, plus 1; 0: none
    arm& target;
};

class callback_entry;

/// What a change to the tree leaves to be done once all locks are let go.
struct after_unlock {
    work_list ready;
    intrusive_list<callback_entry> callbacks;
    void run() noexcept; // posts the tasks, runs the callbacks
    [[nodiscard]] bool empty() const noexcept { return ready.empty() && callbacks.empty(); }
};

class tree_node : public tree_entry {
    friend class tree_walk;
    friend struct layout;

public:
    explicit tree_node(node_kind k) noexcept : tree_entry(k) {}
    tree_node(const tree_node&) = delete;
    tree_node& operator=(const tree_node&) = delete;

    [[nodiscard]] bool cancelled() const noexcept { return marked_.load(std::memory_order_seq_cst); }
    /// Valid once cancelled; a code of value 0 before.
    [[nodiscard]] std::error_code reason() const noexcept {
        return cancelled() ? std::error_code(reason_value_, *reason_category_) : std::error_code();
    }

    void ref() noexcept { refs_.add(); }
    [[nodiscard]] bool try_ref() noexcept { return refs_.try_add(); }
    void unref() noexcept {
        if (refs_.drop()) destroy(*this);
    }

    /// Marks this node and all below. False when it was marked before.
    bool cancel(std::error_code why) noexcept;

    /// Hangs a node below this one. The child is born cancelled if this node is.
    void adopt(tree_node& child) noexcept;
    /// The same for a task that this node counts as live.
    void adopt_task(tree_node& child) noexcept;
    /// Takes this node out from below its parent, if it hangs there.
    void leave() noexcept;
    /// One live task more, and one less; the last one wakes who waits for `live() == 0`.
    void count() noexcept;
    void uncount(after_unlock& todo, bool cancelled_task = false) noexcept;
    /// One live task less, and `child` hangs here no more.
    void uncount_child(tree_node& child, after_unlock& todo, bool cancelled_task) noexcept;

    /// A reference for a waiter on this node, from where its thread does not meet others; and its end.
    void hold(tree_waiter& w) noexcept {
        if (kind != node_kind::source) ref();
        else hold_shared(w);
    }
    void let_go(tree_waiter& w) noexcept {
        if (w.shard == 0) unref();
        else let_go_shard(w);
    }
    /// Hangs a waiting leaf; true when what it waits for is already so.
    [[nodiscard]] bool link(tree_waiter& w) noexcept;
    void unlink(tree_waiter& w) noexcept;
    [[nodiscard]] bool link(callback_entry& c) noexcept;
    [[nodiscard]] bool unlink(callback_entry& c) noexcept;

    /// All that the end of a task has to do, in a section of the owner's, in the usual case: nothing
    /// hangs below it, and nobody waits for the last task of its parent. Else false, and nothing was done.
    [[nodiscard]] bool end_alone(bool cancelled_task) noexcept;
    enum class hanging : std::uint8_t { nothing, entries, tasks };
    /// A task has ended: wakes the `on_end` leaves. Says what else still hangs below; with live tasks it
    /// outlived_by_tasks.
    [[nodiscard]] hanging fire_end(after_unlock& todo) noexcept;

    [[nodiscard]] std::uint32_t live() const noexcept {
        return live_.load(std::memory_order_acquire) & counted;
    }
    /// Tells the task that owns this node, by posting it, when live() next becomes 0; false if it is now.
    [[nodiscard]] bool await_idle() noexcept;
    /// Whether one of its tasks has ended by unwinding.
    [[nodiscard]] bool child_was_unwound() const noexcept {
        return (live_.load(std::memory_order_acquire) & child_unwound) != 0;
    }
    /// This node ends before its live tasks: the last of them then uncounts it where it was counted. False if
    /// there are none.
    [[nodiscard]] bool linger() noexcept;

    [[nodiscard]] lock& mutex() noexcept { return lock_; }
    // With the lock held:
    [[nodiscard]] const intrusive_bag<tree_entry>& children() const noexcept { return children_; }
    /// Whether its owner waits for its last task: then nothing but the end of that wakes the owner.
    [[nodiscard]] bool is_awaited() const noexcept {
        return (live_.load(std::memory_order_relaxed) & awaited) != 0;
    }

    [[nodiscard]] bool is_counted() const noexcept { return counted_.load(std::memory_order_relaxed); }
    /// No reference but the caller's: nobody else can get one.
    [[nodiscard]] bool unshared() const noexcept { return has_references(1); }
    /// `n` references at most.
    [[nodiscard]] bool has_references(std::uint32_t n) const noexcept { return refs_.count() <= n; }
    /// Whether the parent counts this task as live; the one who clears it uncounts.
    [[nodiscard]] bool take_counted() noexcept { return exchange_flag(counted_, false); }

private:
    // Bits of live_, above the count.
    static constexpr std::uint32_t awaited = std::uint32_t(1) << 31; // the owner waits for the count to be 0
    static constexpr std::uint32_t outlived_by_tasks = std::uint32_t(1)
                                                       << 30; // its parent counts it until that
    static constexpr std::uint32_t child_unwound = std::uint32_t(1)
                                                   << 29; // was cancelled when the awaited count became 0
    static constexpr std::uint32_t unhooks = std::uint32_t(1)
                                             << 28; // a task that has ended with nothing below
    static constexpr std::uint32_t counted = unhooks - 1;
    void hold_shared(tree_waiter& w) noexcept;
    void let_go_shard(tree_waiter& w) noexcept;
    static void destroy(tree_node& last) noexcept;
    static void deallocate(tree_node& n) noexcept;
    [[nodiscard]] tree_node* unhook() noexcept;
    bool mark(std::error_code why) noexcept;
    void deliver(after_unlock& todo) noexcept;
    [[nodiscard]] bool one_less(after_unlock& todo, bool cancelled_task, tree_node* gone = nullptr) noexcept;
    static void uncount_above(tree_node* lingered, after_unlock& todo, bool cancelled_task) noexcept;

    // Small things first: they fill the tail of tree_entry, and a parked task has to be small.
    std::atomic<bool> marked_{false};
    std::atomic<bool> counted_{false};

protected:
    // The task's own; see task_block.hpp.
    std::atomic<std::uint8_t> handle_{0};
    std::atomic<std::uint16_t> flags_{0};
    std::uint16_t in_kernel_ = 0;

private:
    lock lock_;
    // Tasks that their parent waits for before it unwinds.
    std::atomic<std::uint32_t> live_{0};
    ref_count refs_{1};
    int reason_value_ = 0;
    const std::error_category* reason_category_ = nullptr;
    intrusive_bag<tree_entry> children_;
};

class task_node;

/// A region of a task: a limit, a shield, a group. It lives apart from the frame, since tokens, and tasks
/// that were detached or outlive the region, may refer to it.
class region_node : public tree_node {
public:
    /// A new region of `owner`, below the node that is current there.
    [[nodiscard]] static region_node* open(node_kind k, task_node& owner);
    /// The task has left it. While tasks still live in it, it counts as one live task of the region around
    /// it.
    void close() noexcept;

    /// What the region has for as long as anything hangs below it: a link to a second token, or a value.
    class attachment {
    public:
        virtual ~attachment() = default;
        /// The value that is kept under a key; null where there is none.
        [[nodiscard]] virtual const void* value_of(const void*) const noexcept { return nullptr; }
    };
    /// The task that is in the region; null once it has left. With the lock held.
    [[nodiscard]] task_node* owner() const noexcept { return owner_; }
    std::unique_ptr<attachment> attached;
    time_point deadline = time_point::max();
    void* region = nullptr; // the region_frame or group, while it is open

private:
    friend class tree_node;
    friend struct layout;
    region_node(node_kind k, task_node& owner) noexcept : tree_node(k), owner_(&owner) {}
    task_node* owner_; // null once closed; guarded by the lock
};

/// The part of a task's task block that the tree knows.
class task_node : public waiter, public tree_node {
public:
    explicit task_node(executor* home) noexcept : waiter(home), tree_node(node_kind::task), current_(this) {}

    /// The innermost node of this task: itself, or the scope that it is in.
    [[nodiscard]] tree_node* current() const noexcept { return current_.load(std::memory_order_seq_cst); }
    [[nodiscard]] bool is_task() const noexcept final { return true; }
    void set_current(tree_node& n) noexcept { current_.store(&n, std::memory_order_seq_cst); }

protected:
    ~task_node() = default;
    /// Frees the memory, the task having ended.
    virtual void deallocate() noexcept = 0;

private:
    friend class tree_node;
    friend struct layout;
    /// Claims the task's park for a cancel of `n`, if `n` is its innermost node.
    void cancel_park(const tree_node& n, work_list& ready) noexcept;

    std::atomic<tree_node*> current_;
};

/// The node of a cancel_source.
class source_node final : public tree_node, public timer_node {
public:
    [[nodiscard]] static source_node* make();
    /// One that counts as a live task of its parent while it has some: the root of one loop's tasks.
    [[nodiscard]] static source_node& make_local_root();

    /// A cancel_source owns it, and does no more.
    void own() noexcept { owned_ = true; }
    void disown() noexcept;

    /// Arms the timer on the calling loop, if there is a deadline and no loop has it yet.
    void arm_deadline() noexcept;
    void disarm() noexcept;

    time_point deadline = time_point::max(); // the nearest of its own and those above
    bool own_timer = false;                  // needs a timer: nothing above it has that deadline
    std::error_code late;                    // the reason when its own deadline passes

private:
    friend class tree_node;
    friend class tree_walk;
    source_node() noexcept : tree_node(node_kind::source) {}
    ~source_node() { delete[] shards_.load(std::memory_order_acquire); }
    void fire() noexcept override;
    void dropped() noexcept override;

    /// Takes the timer out, on the loop that has it, for one who was elsewhere.
    class unarm final : public work {
    public:
        explicit unarm(source_node& n) noexcept : node_(n) {}
        void run() noexcept override;
        executor* on_ = nullptr;

    private:
        source_node& node_;
    };
    executor* armed_on_ = nullptr; // guarded by the lock
    unarm unarm_{*this};

    // See invariant 6. A cache line each.
    struct alignas(64) wait_shard {
        lock guard;
        ref_count refs{1};
        intrusive_bag<tree_entry> waiters;
    };
    static constexpr unsigned shards = 8;
    void meet_others() noexcept;
    void wake_shards(work_list& ready) noexcept;
    [[nodiscard]] wait_shard& shard_of(const tree_waiter& w) noexcept {
        return shards_.load(std::memory_order_acquire)[w.shard - 1];
    }
    bool local_root_ = false;   // outlived_by_tasks whenever it has tasks
    bool owned_ = false;        // guarded by the lock, once others know the node
    std::uint8_t meetings_ = 0; // guarded by the lock
    std::atomic<wait_shard*> shards_{nullptr};
};

/// Goes over a tree while it changes, a few nodes at a time: what is there throughout is seen once.
///
/// It stands in the tree as a leaf, behind which it goes on. While that hangs below a node, the node stays
/// linked to its parent: so there is a way on even when the task there has ended.
class tree_walk {
public:
    explicit tree_walk(tree_node& root) noexcept;
    ~tree_walk();
    tree_walk(const tree_walk&) = delete;
    tree_walk& operator=(const tree_walk&) = delete;

    /// Calls `visit` for the next nodes, `most` of them if there are as many, each with the lock of its
    /// parent held. False when it has been everywhere.
    template <class F>
    bool step(unsigned most, const F& visit) {
        const void* const f = &visit;
        return step_on(most, [](const void* v, tree_node& n) { (*static_cast<const F*>(v))(n); }, f);
    }

private:
    bool step_on(unsigned most, void (*visit)(const void*, tree_node&), const void* f);
    void stand_before(tree_entry* next, tree_entry* last) noexcept;
    [[nodiscard]] bool ascend() noexcept;
    [[nodiscard]] static bool may_descend(const tree_node& n) noexcept;

    tree_node* const root_;
    tree_node* at_; // below which the leaf hangs, with a reference
    tree_entry leaves_[2] = {tree_entry(node_kind::cursor), tree_entry(node_kind::cursor)};
    unsigned leaf_ = 0;
};

/// The nearest deadline of a node and all above it.
[[nodiscard]] time_point deadline_of(const tree_node* n) noexcept;
/// Whether `n` is `ancestor` or hangs below it, by links that cancelling follows.
[[nodiscard]] bool is_below(const tree_node* n, const tree_node* ancestor) noexcept;

} // namespace levada::detail
