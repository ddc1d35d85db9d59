#include <levada/detail/engine/tree.hpp>

#include <algorithm>
#include <new>
#include <utility>

#include <levada/base/errc.hpp>
#include <levada/base/frame_pool.hpp>
#include <levada/detail/cancel/callback_entry.hpp>
#include <levada/detail/engine/thread_context.hpp>
#include <levada/detail/util/fatal.hpp>

namespace levada::detail {
namespace {

// Claims the task whose leaf this is, a tree_waiter.
void wake(tree_entry& leaf, work_list& ready) noexcept {
    arm& a = static_cast<tree_waiter&>(leaf).target;
    (void)a.who->claim(a.index, ready);
}

} // namespace

void after_unlock::run() noexcept {
    post_all(ready);
    if (!callbacks.empty()) callback_entry::run_all(callbacks);
}

bool tree_node::mark(std::error_code why) noexcept {
    if (marked_.load(std::memory_order_relaxed)) return false;
    reason_value_ = why.value();
    reason_category_ = &why.category();
    marked_.store(true, std::memory_order_seq_cst);
    return true;
}

void tree_node::deliver(after_unlock& todo) noexcept {
    if (kind == node_kind::task) static_cast<task_node*>(this)->cancel_park(*this, todo.ready);
    else if (kind == node_kind::source) static_cast<source_node*>(this)->wake_shards(todo.ready);
    else if (static_cast<region_node*>(this)->owner_)
        static_cast<region_node*>(this)->owner_->cancel_park(*this, todo.ready);
}

bool tree_node::cancel(std::error_code why) noexcept {
    if (!why) why = make_error_code(errc::cancelled); // a code of value 0 is "not cancelled"
    after_unlock todo;
    lock_.acquire();
    if (!mark(why)) {
        lock_.release();
        return false;
    }
    deliver(todo);
    // Depth first, in constant space: all locks from this node to `at` are held.
    tree_node* at = this;
    tree_entry* below = children_.front();
    for (;;) {
        if (!below) {
            if (at == this) break;
            below = at->children_.next(*at);
            tree_node* up = at->parent;
            at->lock_.release();
            at = up;
            continue;
        }
        tree_entry& child = *below;
        below = children_.next(child);
        switch (child.kind) {
            case node_kind::on_cancel: wake(child, todo.ready); break;
            case node_kind::callback: {
                auto& c = static_cast<callback_entry&>(child);
                at->children_.erase(child);
                c.queue_ = nullptr;
                c.state_.store(callback_entry::state::queued, std::memory_order_relaxed);
                todo.callbacks.push_back(c);
                break;
            }
            case node_kind::on_end:
            case node_kind::on_idle:
            case node_kind::cursor: break;
            default: {
                auto& n = static_cast<tree_node&>(child);
                n.lock_.acquire();
                // A shield keeps the cancel off as long as its task is in it.
                const bool shielded = n.kind == node_kind::shield && static_cast<region_node&>(n).owner_;
                if (!shielded && n.mark(why)) {
                    n.deliver(todo);
                    at = &n;
                    below = n.children_.front();
                } else {
                    n.lock_.release();
                }
            }
        }
    }
    ref(); // a callback, or a task that it lets run, may drop the last handle
    lock_.release();
    todo.run();
    unref();
    return true;
}

void task_node::cancel_park(const tree_node& n, work_list& ready) noexcept {
    for (;;) {
        // The epoch makes this sound: `current` changes only while the task runs, so if the exchange finds
        // the word as it was loaded, then `n` was the innermost node of the very park that it ends.
        auto w = load_word();
        const auto s = state_of(w);
        if (s == park_state::looked_at) {
            (void)word_after_look();
            continue;
        }
        if ((s != park_state::parked && s != park_state::arming) || current() != &n) return;
        if (exchange(w, (w & epoch_bits) | raw(park_state::cancelled))) {
            if (s == park_state::parked) ready.push(*this);
            return;
        }
    }
}

void tree_node::adopt(tree_node& child) noexcept {
    if (kind == node_kind::source) static_cast<source_node*>(this)->arm_deadline();
    ref();
    child.parent = this;
    lock_guard guard(lock_);
    if (marked_.load(std::memory_order_relaxed) && child.kind != node_kind::shield)
        child.mark({reason_value_, *reason_category_});
    children_.insert(child);
}

void tree_node::adopt_task(tree_node& child) noexcept {
    ref();
    child.parent = this;
    bool first = false;
    {
        lock_guard guard(lock_);
        if (marked_.load(std::memory_order_relaxed)) child.mark({reason_value_, *reason_category_});
        child.counted_.store(true, std::memory_order_relaxed);
        children_.insert(child);
        std::uint32_t n = live_.load(std::memory_order_relaxed) + 1;
        if ((n & counted) == 1 && kind == node_kind::source && static_cast<source_node*>(this)->local_root_) {
            first = true;
            n |= outlived_by_tasks;
            ref(); // for whoever takes the last task from the count
        }
        live_.store(n, std::memory_order_relaxed);
    }
    if (first) parent->count(); // before the task can run, and end
}

void tree_node::leave() noexcept {
    if (tree_node* from = unhook()) from->unref();
}

// Out of the parent's list; gives the parent, with the reference that was ours.
tree_node* tree_node::unhook() noexcept {
    tree_node* const from = parent;
    if (!from) return nullptr;
    lock_guard guard(from->lock_); // a walk that stands here or below reads `parent` under it
    from->children_.erase(*this);
    parent = nullptr;
    return from;
}

void tree_node::count() noexcept {
    lock_guard guard(lock_);
    live_.store(live_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

void tree_node::uncount(after_unlock& todo, bool cancelled_task) noexcept {
    if (one_less(todo, cancelled_task)) uncount_above(this, todo, cancelled_task);
}

void tree_node::uncount_child(tree_node& child, after_unlock& todo, bool cancelled_task) noexcept {
    if (one_less(todo, cancelled_task, &child)) uncount_above(this, todo, cancelled_task);
    unref(); // the child's
}

// A region, or a task, that lingered for its last task ends with it: one less in what counted it.
void tree_node::uncount_above(tree_node* n, after_unlock& todo, bool cancelled_task) noexcept {
    do {
        if (n->kind == node_kind::task) {
            n = n->take_counted() ? n->parent : &static_cast<task_node*>(n)->home()->root();
        } else {
            tree_node* const outer = n->parent; // alive: the tasks that wait for us are in it
            n->unref();
            n = outer;
        }
    } while (n->one_less(todo, cancelled_task));
}

bool tree_node::one_less(after_unlock& todo, bool cancelled_task, tree_node* gone) noexcept {
    lock_guard guard(lock_);
    if (gone) {
        children_.erase(*gone);
        gone->parent = nullptr; // a walk that stands there or below reads it under our lock
    }
    const std::uint32_t left =
        (live_.load(std::memory_order_relaxed) - 1) | (cancelled_task ? child_unwound : 0);
    if ((left & counted) != 0) {
        live_.store(left, std::memory_order_release);
        return false;
    }
    live_.store(left & child_unwound, std::memory_order_release);
    for (tree_entry* e = children_.front(); e; e = children_.next(*e)) {
        if (e->kind == node_kind::on_idle) wake(*e, todo.ready);
    }
    if (left & awaited)
        todo.ready.push(kind == node_kind::task ? static_cast<task_node&>(*this)
                                                : *static_cast<region_node*>(this)->owner_);
    return (left & outlived_by_tasks) != 0;
}

bool tree_node::await_idle() noexcept {
    lock_guard guard(lock_);
    const std::uint32_t n = live_.load(std::memory_order_relaxed);
    if ((n & counted) == 0) return false;
    live_.store(n | awaited, std::memory_order_release);
    return true;
}

bool tree_node::linger() noexcept {
    lock_guard guard(lock_);
    const std::uint32_t n = live_.load(std::memory_order_relaxed);
    if ((n & counted) == 0) return false;
    live_.store(n | outlived_by_tasks, std::memory_order_release);
    return true;
}

bool tree_node::link(tree_waiter& w) noexcept {
    auto* const source = kind == node_kind::source ? static_cast<source_node*>(this) : nullptr;
    if (source) source->arm_deadline();
    w.parent = this;
    if (w.shard != 0) {
        source_node::wait_shard& shard = source->shard_of(w);
        lock_guard guard(shard.guard);
        if (marked_.load(std::memory_order_relaxed)) return true;
        shard.waiters.insert(w);
        return false;
    }
    const bool alone = lock_.try_acquire();
    if (!alone) lock_.acquire();
    const bool ready = w.kind == node_kind::on_cancel ? marked_.load(std::memory_order_relaxed)
                       : w.kind == node_kind::on_idle
                           ? live() == 0
                           : static_cast<task_node*>(this)->state() == park_state::ended;
    if (!ready) children_.insert(w);
    if (source && !alone) source->meet_others();
    lock_.release();
    return ready;
}

void tree_node::unlink(tree_waiter& w) noexcept {
    if (w.shard != 0) {
        source_node::wait_shard& shard = static_cast<source_node*>(this)->shard_of(w);
        lock_guard guard(shard.guard);
        shard.waiters.erase(w);
        return;
    }
    lock_guard guard(lock_);
    children_.erase(w);
}

void tree_node::hold_shared(tree_waiter& w) noexcept {
    auto& source = static_cast<source_node&>(*this);
    if (source_node::wait_shard* all = source.shards_.load(std::memory_order_acquire)) {
        const unsigned mine = thread_number() % source_node::shards;
        if (all[mine].refs.try_add()) { // not when the owner has gone
            w.shard = static_cast<std::uint8_t>(mine + 1);
            return;
        }
    }
    ref();
}

void tree_node::let_go_shard(tree_waiter& w) noexcept {
    if (static_cast<source_node*>(this)->shard_of(w).refs.drop()) unref();
}

// Under the lock, which another thread held just now.
void source_node::meet_others() noexcept {
    constexpr std::uint8_t enough = 4; // once may happen to anybody
    if (!owned_ || shards_.load(std::memory_order_relaxed) || ++meetings_ < enough) return;
    auto* const made = new (std::nothrow) wait_shard[shards];
    if (!made) return; // as it was
    for (unsigned i = 0; i < shards; ++i) ref();
    shards_.store(made, std::memory_order_release);
}

void source_node::wake_shards(work_list& ready) noexcept {
    wait_shard* const all = shards_.load(std::memory_order_relaxed); // made under the lock, which we hold
    for (unsigned i = 0; all && i < shards; ++i) {
        lock_guard guard(all[i].guard);
        for (tree_entry* e = all[i].waiters.front(); e; e = all[i].waiters.next(*e)) wake(*e, ready);
    }
}

void source_node::disown() noexcept {
    wait_shard* all;
    {
        lock_guard guard(mutex());
        owned_ = false;
        all = shards_.load(std::memory_order_relaxed);
    }
    for (unsigned i = 0; all && i < shards; ++i)
        if (all[i].refs.drop()) unref(); // not the last: the owner has one
}

bool tree_node::link(callback_entry& c) noexcept {
    if (kind == node_kind::source) static_cast<source_node*>(this)->arm_deadline();
    c.parent = this;
    lock_guard guard(lock_);
    if (marked_.load(std::memory_order_relaxed)) return false;
    c.state_.store(callback_entry::state::linked, std::memory_order_relaxed);
    children_.insert(c);
    return true;
}

bool tree_node::unlink(callback_entry& c) noexcept {
    lock_guard guard(lock_);
    if (c.state_.load(std::memory_order_relaxed) != callback_entry::state::linked) return false;
    c.state_.store(callback_entry::state::done, std::memory_order_relaxed);
    children_.erase(c);
    return true;
}

bool tree_node::end_alone(bool cancelled_task) noexcept {
    if (!children_.empty() || !parent || !counted_.load(std::memory_order_relaxed) ||
        (live_.load(std::memory_order_relaxed) & counted) != 0)
        return false;
    const std::uint32_t n = parent->live_.load(std::memory_order_relaxed);
    if ((n & counted) <= 1) return false;
    parent->live_.store((n - 1) | (cancelled_task ? child_unwound : 0), std::memory_order_relaxed);
    counted_.store(false, std::memory_order_relaxed);
    parent->children_.erase(*this);
    std::exchange(parent, nullptr)->unref();
    return true;
}

tree_node::hanging tree_node::fire_end(after_unlock& todo) noexcept {
    lock_guard guard(lock_);
    hanging more = hanging::nothing;
    for (tree_entry* e = children_.front(); e; e = children_.next(*e)) {
        if (e->kind == node_kind::on_end) {
            wake(*e, todo.ready);
        } else {
            more = hanging::entries;
        }
    }
    const std::uint32_t n = live_.load(std::memory_order_relaxed);
    if ((n & counted) != 0) more = hanging::tasks;
    if (more == hanging::tasks) live_.store(n | outlived_by_tasks, std::memory_order_release);
    else if (more == hanging::nothing) live_.store(n | unhooks, std::memory_order_release);
    return more;
}

void tree_node::destroy(tree_node& last) noexcept {
    // Upwards in a loop: a chain of nodes that each kept the next alive may be long.
    for (tree_node* n = &last; n;) {
        tree_node* const up = n->unhook();
        deallocate(*n);
        n = up && up->refs_.drop() ? up : nullptr;
    }
}

void tree_node::deallocate(tree_node& n) noexcept {
    switch (n.kind) {
        case node_kind::task: static_cast<task_node&>(n).deallocate(); break;
        case node_kind::source: {
            auto& s = static_cast<source_node&>(n);
            s.~source_node();
            frame_pool::deallocate(&s, sizeof(source_node));
            break;
        }
        default: {
            auto& s = static_cast<region_node&>(n);
            s.~region_node();
            frame_pool::deallocate(&s, sizeof(region_node));
        }
    }
}

region_node* region_node::open(node_kind k, task_node& owner) {
    auto* s = ::new (frame_pool::allocate(sizeof(region_node))) region_node(k, owner);
    owner.current()->adopt(*s);
    return s;
}

void region_node::close() noexcept {
    // Counted outside first, so that the last task in here finds that count whenever it ends.
    parent->count();
    {
        lock_guard guard(mutex());
        owner_ = nullptr;
        region = nullptr;
    }
    // Off with the shield: what outlives it is cancelled as all else out there.
    if (kind == node_kind::shield && parent->cancelled()) cancel(parent->reason());
    if (linger()) return;
    after_unlock todo;
    parent->uncount(todo);
    unref();
    todo.run();
}

source_node* source_node::make() { return ::new (frame_pool::allocate(sizeof(source_node))) source_node; }

source_node& source_node::make_local_root() {
    source_node* made = make();
    made->local_root_ = true;
    return *made;
}

void source_node::arm_deadline() noexcept {
    executor* here = executor::current();
    if (!here || !own_timer || deadline == time_point::max()) return;
    {
        lock_guard guard(mutex());
        if (armed_on_ || cancelled()) return;
        armed_on_ = here;
    }
    ref(); // the timer's
    here->add_timer(*this, deadline);
}

void source_node::fire() noexcept {
    cancel(late);
    dropped(); // the loop may go before the node; one that is cancelled is not armed again
}

void source_node::disarm() noexcept {
    executor* const here = executor::current();
    executor* on;
    {
        lock_guard guard(mutex());
        on = armed_on_;
        if (!on) return;
        // That of another loop of our runtime is taken out there. (That one lives: its queue drops this
        // timer, under our lock, before it goes; and a runtime that runs us has all its loops.) Elsewhere it
        // stays armed, keeps the node, and fires without effect.
        if (on != here && (!here || !here->works_with(*on))) return;
    }
    if (on != here) {
        ref();
        unarm_.on_ = on;
        on->post(unarm_);
        return;
    }
    if (!armed()) return;
    on->remove_timer(*this);
    dropped();
}

void source_node::unarm::run() noexcept {
    if (node_.armed()) {
        on_->remove_timer(node_);
        node_.dropped();
    }
    node_.unref();
}

void source_node::dropped() noexcept {
    {
        lock_guard guard(mutex());
        armed_on_ = nullptr;
    }
    unref();
}

time_point deadline_of(const tree_node* n) noexcept {
    time_point nearest = time_point::max();
    for (; n; n = n->kind == node_kind::shield ? nullptr : n->parent) {
        if (n->kind == node_kind::source)
            return std::min(nearest, static_cast<const source_node*>(n)->deadline);
        if (n->kind != node_kind::task)
            nearest = std::min(nearest, static_cast<const region_node*>(n)->deadline);
    }
    return nearest;
}

bool is_below(const tree_node* n, const tree_node* ancestor) noexcept {
    for (; n; n = n->kind == node_kind::shield ? nullptr : n->parent)
        if (n == ancestor) return true;
    return false;
}

} // namespace levada::detail
