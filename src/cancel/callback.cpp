#include <levada/cancel/callback.hpp>

#include <pthread.h>

#include <levada/detail/cancel/token_access.hpp>
#include <levada/detail/engine/thread_context.hpp>

namespace levada::detail {
namespace {

// Guards the lists of cancellers, and `queued` and `running` callbacks. One for all: it is taken only by
// those who cancel a token that has callbacks, and by callbacks that go at that moment.
thread_lock& running_lock() noexcept {
    static thread_lock l;
    // In the child of a fork it is free. (Out of memory, it may not be.)
    static const int registered =
        ::pthread_atfork([] { l.acquire(); }, [] { l.release(); }, [] { l.release(); });
    static_cast<void>(registered);
    return l;
}

/// Counts the callbacks that this thread is in.
class counts_callback {
public:
    counts_callback() noexcept { ++this_thread().callbacks; }
    ~counts_callback() { --this_thread().callbacks; }
    counts_callback(const counts_callback&) = delete;
    counts_callback& operator=(const counts_callback&) = delete;
};

} // namespace

void callback_entry::attach(const cancel_token& t) noexcept {
    tree_node* n = token_access::node(t);
    if (!n) return;
    token_ = t;
    if (n->link(*this)) return;
    state_.store(state::done, std::memory_order_relaxed);
    const counts_callback during;
    call();
}

bool callback_entry::detach() noexcept {
    tree_node* n = token_access::node(token_);
    if (!n) return false;
    if (state_.load(std::memory_order_acquire) == state::done) return false;
    if (n->unlink(*this)) return true;
    // A canceller has it. It is put in that one's list under the node's lock, which we have just held.
    for (;;) {
        running_lock().acquire();
        switch (state_.load(std::memory_order_relaxed)) {
            case state::queued:
                if (!queue_) break; // still on the way into the list
                queue_->erase(*this);
                state_.store(state::done, std::memory_order_relaxed);
                running_lock().release();
                return true;
            case state::running:
                if (runner_ == std::this_thread::get_id()) {
                    // Destroyed, or reset, by itself.
                    *gone_ = true;
                    state_.store(state::done, std::memory_order_relaxed);
                    state_.notify_all();
                    running_lock().release();
                    return false;
                }
                running_lock().release();
                state_.wait(state::running, std::memory_order_acquire);
                continue;
            default: running_lock().release(); return false;
        }
        running_lock().release();
        std::this_thread::yield();
    }
}

void callback_entry::run_all(intrusive_list<callback_entry>& queue) noexcept {
    const counts_callback during;
    running_lock().acquire();
    for (auto* c = queue.front(); c; c = queue.next(*c)) c->queue_ = &queue;
    while (callback_entry* c = queue.pop_front()) {
        bool gone = false;
        c->runner_ = std::this_thread::get_id();
        c->gone_ = &gone;
        c->state_.store(state::running, std::memory_order_relaxed);
        running_lock().release();
        c->call();
        running_lock().acquire();
        if (gone) continue;
        c->gone_ = nullptr;
        c->state_.store(state::done, std::memory_order_release);
        c->state_.notify_all();
    }
    running_lock().release();
}

} // namespace levada::detail
