#include <levada/cancel/token.hpp>

#include <pthread.h>

#include <algorithm>
#include <new>
#include <utility>

// The list, for debuggers too.
extern "C" {
constinit levada::executor* levada_executors = nullptr;
}

namespace levada {

struct executor::registry {
    detail::thread_lock guard; // guards the list, and which root each has

    static registry& all() noexcept {
        static constinit registry r; // of nothing that is destroyed: executors may outlive main
        // Loops are made on threads that do not come along.
        static const int forks =
            ::pthread_atfork([] { r.guard.acquire(); }, [] { r.guard.release(); }, [] { r.guard.release(); });
        static_cast<void>(forks); // out of memory: as without it
        return r;
    }
};

std::vector<detail::tree_node*> executor::roots() {
    std::vector<detail::tree_node*> found;
    detail::lock_guard guard(registry::all().guard);
    for (executor* e = levada_executors; e; e = e->next_) {
        if (std::find(found.begin(), found.end(), e->root_) != found.end()) continue;
        found.push_back(e->root_);
        e->root_->ref();
    }
    return found;
}

executor::executor() : root_(detail::source_node::make()), local_root_(root_) {
    try {
        next_root_ = detail::source_node::make();
    } catch (...) {
        root_->unref();
        throw;
    }
    {
        registry& all = registry::all();
        detail::lock_guard guard(all.guard);
        next_ = levada_executors;
        if (next_) next_->prev_ = this;
        levada_executors = this;
    }
    seed(static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count()));
}

executor::~executor() {
    timers_.drop_all(); // of sources that outlive the loop
    registry& all = registry::all();
    detail::lock_guard guard(all.guard);
    (prev_ ? prev_->next_ : levada_executors) = next_;
    if (next_) next_->prev_ = prev_;
    drop_roots();
    if (next_root_) next_root_->unref();
}

void executor::share_root(executor& other) {
    detail::source_node& local = detail::source_node::make_local_root();
    other.root_->ref();
    other.root_->adopt(local);
    detail::lock_guard guard(registry::all().guard);
    drop_roots();
    root_ = other.root_;
    local_root_ = &local;
}

void executor::renew_root() noexcept {
    {
        detail::lock_guard guard(registry::all().guard);
        if (next_root_) {
            drop_roots();
            root_ = local_root_ = std::exchange(next_root_, nullptr);
        }
    }
    try {
        if (!next_root_) next_root_ = detail::source_node::make();
    } catch (const std::bad_alloc&) { // the next shutdown keeps its root
    }
}

void executor::drop_roots() noexcept {
    if (local_root_ != root_) local_root_->unref();
    root_->unref();
}

namespace detail {

bool done_op::try_commit(work_list&) noexcept { return node_ && node_->cancelled(); }

bool done_op::link() noexcept {
    if (!node_) return false; // a token that is never cancelled
    const bool cancelled = node_->link(waiter_);
    linked_ = !cancelled;
    return cancelled;
}

void done_op::unlink() noexcept {
    if (std::exchange(linked_, false)) node_->unlink(waiter_);
}

bool done_op::commits_on_cancel(const tree_node& current) noexcept {
    return node_ && node_->cancelled() && is_below(&current, node_);
}

void done_op::describe(std::string& out) const { out += "a token"; }

} // namespace detail
} // namespace levada
