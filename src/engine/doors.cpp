#include <levada/detail/engine/doors.hpp>

#include <algorithm>
#include <utility>

#include <levada/detail/engine/promise.hpp>
#include <levada/detail/util/small_array.hpp>

// Invariants:
// 1. The first pass holds one lock at a time; whoever is found ready there has committed.
// 2. To park, all shared locks are held together, taken in address order, from the second look at the arms
//    until the park is published. So no channel can become ready unseen.
//    They are held together likewise for one more look before a select takes its `otherwise`: then there was
//    a moment when no arm with a lock was ready.
// 3. Tokens, timers, joins and other arms without a shared lock are linked while the word says `arming`;
//    one that fires meanwhile claims, does not post, and is seen at publication.
// 4. A task that was claimed while it was arming is posted by itself, and finishes as if it had been parked.
// 5. A cancel that comes while the word says `running` is seen by the look at the token that follows
//    `begin_arming`; one that comes later claims the word.

namespace levada::detail {
namespace {

template <class T>
using scratch = small_array<T, 32>;

bool try_alone(arm& a, work_list& ready) noexcept {
    lock* l = a.shared_lock();
    if (!l) return a.try_commit(ready);
    lock_guard guard(*l);
    return a.try_commit(ready);
}

// Publishes the park; a task that was claimed or cancelled while it was arming goes on from its queue.
void publish(task_block& t) noexcept {
    executor& home = *t.home();
    if (t.is_cancelled()) t.cancel_arming();
    if (!t.publish()) home.post(t);
}

/// The locks of all arms that have one, taken in the order of their addresses.
class all_locks {
public:
    explicit all_locks(std::span<arm* const> all) : locks_(all.size()) {
        for (arm* a : all)
            if (lock* l = a->shared_lock()) locks_[arms_++] = l;
        std::sort(locks_.begin(), locks_.begin() + arms_, std::less<lock*>());
        held_ =
            static_cast<std::size_t>(std::unique(locks_.begin(), locks_.begin() + arms_) - locks_.begin());
        for (std::size_t i = 0; i < held_; ++i) locks_[i]->acquire();
    }
    ~all_locks() { release(); }
    all_locks(const all_locks&) = delete;
    all_locks& operator=(const all_locks&) = delete;

    /// How many arms have one.
    [[nodiscard]] std::size_t arms() const noexcept { return arms_; }
    void release() noexcept {
        while (held_ != 0) locks_[--held_]->release();
    }

private:
    scratch<lock*> locks_;
    std::size_t arms_ = 0;
    std::size_t held_ = 0;
};

// With all locks held: the first arm in that order that commits, of those that have a lock.
std::uint32_t commit_locked(std::span<arm* const> all, std::span<const std::uint32_t> order,
                            work_list& ready) noexcept {
    for (std::uint32_t i : order)
        if (all[i]->shared_lock() && all[i]->try_commit(ready)) return i;
    return no_arm;
}

} // namespace

bool any_of::withdraw() noexcept { return retire(no_arm); }

bool any_of::retire(std::uint32_t winner) noexcept {
    bool all_back = true;
    const auto all = arms();
    for (std::uint32_t i = 0; i < all.size(); ++i)
        if (i != winner) all_back &= all[i]->withdraw();
    return all_back;
}

void any_of::take_back_now() noexcept {
    for (arm* a : arms()) a->take_back_now();
}

void any_of::describe(std::string& out) const {
    const char* separator = "select(";
    for (const arm* a : arms()) {
        out += separator;
        a->describe(out);
        separator = ", ";
    }
    out += ")";
}

void any_of::wakers(wake_sources& out) const {
    for (const arm* a : arms()) a->wakers(out);
}

bool any_of::commits_on_cancel(const tree_node& current) noexcept {
    const auto all = arms();
    for (std::size_t i = 0; i < all.size(); ++i) {
        if (!all[i]->commits_on_cancel(current)) continue;
        winner_ = static_cast<std::uint32_t>(i);
        return true;
    }
    return false;
}

std::uint32_t any_of::let_go_of_others() noexcept {
    winner_ = task_->winner();
    const auto all = arms();
    for (std::uint32_t i = 0; i < all.size(); ++i)
        if (i != winner_ || !all[i]->unlinked_by_claim()) all[i]->unlink();
    return winner_;
}

bool any_of::wait(task_block& task, frame_handle leaf, std::size_t alike, std::uint32_t otherwise) {
    task_ = &task;
    if (trace_sink* const t = tracing()) [[unlikely]]
        t->awaits(task, *this);
    if (task.is_cancelled()) [[unlikely]]
        return !task.answer_or_unwind(leaf, *this);
    const auto all = arms();
    const auto n = static_cast<std::uint32_t>(all.size());
    scratch<std::uint32_t> order(n);
    for (std::uint32_t i = 0; i < n; ++i) order[i] = i;
    work_list ready;
    for (std::uint32_t i = 0; i < n; ++i) {
        // Fisher and Yates, as far as it is needed.
        if (i + 1 < alike)
            std::swap(order[i], order[i + task.home()->random(static_cast<std::uint32_t>(alike) - i)]);
        if (!try_alone(*all[order[i]], ready)) continue;
        winner_ = order[i];
        post_all(ready);
        return task.completed_at_once(leaf);
    }
    if (otherwise != no_arm) {
        // In turn none was ready. That is not yet to say that there was a moment when none was.
        winner_ = commit_at_once(all, {order.data(), order.size()});
        if (winner_ == no_arm) winner_ = otherwise;
        return task.completed_at_once(leaf);
    }
    return park_on_all(task, leaf, all, {order.data(), order.size()});
}

std::uint32_t any_of::commit_at_once(std::span<arm* const> all, std::span<const std::uint32_t> order) {
    work_list ready;
    std::uint32_t winner = no_arm;
    {
        all_locks locks(all);
        if (locks.arms() > 1) winner = commit_locked(all, order, ready);
    }
    post_all(ready);
    return winner;
}

bool any_of::park_on_all(task_block& task, frame_handle leaf, std::span<arm* const> all,
                         std::span<const std::uint32_t> order) {
    all_locks locks(all);
    work_list ready;
    if (const std::uint32_t first = commit_locked(all, order, ready); first != no_arm) {
        locks.release();
        winner_ = first;
        post_all(ready);
        return task.completed_at_once(leaf);
    }

    task.parks(leaf, *this);
    task.begin_arming();
    for (std::uint32_t i : order) { // who is served first among arms on one channel is chance, too
        all[i]->who = &task;
        all[i]->index = i;
        if (!all[i]->link()) continue;
        (void)task.claim(i); // or somebody else was first: either way it is not published
        break;
    }
    publish(task);
    return true; // nothing of the operation is touched any more; the locks are let go
}

bool any_of::park_alone(task_block& task, frame_handle leaf, bool in_order) noexcept {
    task_ = &task;
    const auto all = arms();
    const auto n = static_cast<std::uint32_t>(all.size());
    task.parks(leaf, *this);
    task.begin_arming();
    // Who is served first on one channel is chance, too.
    std::uint32_t i = in_order || n < 2 ? 0 : task.home()->random(n);
    for (std::uint32_t left = n; left != 0; --left) {
        all[i]->who = &task;
        all[i]->index = i;
        if (all[i]->link()) {
            (void)task.claim(i);
            break;
        }
        if (++i == n) i = 0;
    }
    publish(task);
    return true;
}

bool wait_for(task_block& task, frame_handle leaf, arm& a) noexcept {
    if (trace_sink* const t = tracing()) [[unlikely]]
        t->awaits(task, a);
    if (task.is_cancelled()) [[unlikely]]
        return !task.answer_or_unwind(leaf, a);
    work_list ready;
    if (try_alone(a, ready)) {
        post_all(ready);
        return task.completed_at_once(leaf);
    }
    lock* const l = a.shared_lock();
    if (l) {
        l->acquire();
        if (a.try_commit(ready)) {
            l->release();
            post_all(ready);
            return task.completed_at_once(leaf);
        }
    }
    task.parks(leaf, a);
    task.begin_arming();
    a.who = &task;
    a.index = 0;
    if (a.link()) (void)task.claim(0);
    publish(task);
    if (l) l->release();
    return true;
}

bool promise_base::await_arm(arm& a) noexcept { return wait_for(*task_, frame(), a); }

} // namespace levada::detail
