#include <levada/detail/channel/channel_state.hpp>

#include <algorithm>
#include <cstddef>
#include <string>

#include <levada/detail/engine/task_block.hpp>
#include <levada/detail/engine/thread_context.hpp>
#include <levada/detail/engine/wake_sources.hpp>

// No class here has a virtual base, so the offsets are constants.
#pragma GCC diagnostic ignored "-Winvalid-offsetof"

namespace levada::detail {
namespace {

// Who waits is counted for dumps, and not for longer than this.
constexpr std::size_t most_counted = 100;

} // namespace

void channel_arm::unlink() noexcept {
    if (!std::exchange(linked_, false)) return;
    channel_base& ch = *on_; // alive: we are linked
    ch.lock_.acquire();
    if (ghost_) --ch.ghosts_;
    else (role == channel_role::receiver ? ch.receivers_ : ch.senders_).erase(*this);
    const bool last = ch.orphan_ && !ch.anything_linked();
    ch.lock_.release();
    if (last) ch.destroy();
}

void channel_arm::describe(std::string& out) const {
    out += role == channel_role::receiver ? "recv" : role == channel_role::sender ? "send" : "reserve";
    if (!on_) {
        out += " on a nil channel";
        return;
    }
    out += " on a ";
    if (on_->capacity_ == 0) out += "rendezvous channel";
    else if (on_->capacity_ == unlimited) out += "unbounded channel";
    else out += "channel of " + std::to_string(on_->capacity_);
    if (const std::source_location made = on_->made_at_.where(); made.line() != 0) {
        out += " made at ";
        out += made.file_name();
        out += ':';
        out += std::to_string(made.line());
    }
    channel_base& ch = *on_; // alive: we are linked
    const try_lock_guard guard(ch.lock_);
    if (!guard) return;
    const auto count = [](const intrusive_list<channel_arm>& queue) {
        std::size_t n = 0;
        for (const channel_arm* a = queue.front(); a && n <= most_counted; a = queue.next(*a)) ++n;
        return n > most_counted ? "more than " + std::to_string(most_counted) : std::to_string(n);
    };
    out += " (";
    if (ch.capacity_ != 0) {
        out += std::to_string(ch.buffered());
        out += " buffered, ";
    }
    out += count(ch.receivers_);
    out += " receiving, ";
    out += count(ch.senders_);
    out += " sending; ";
    const std::size_t ends = ch.ends_ ? ch.ends_->count : 0;
    if (ends != 0) {
        out += std::to_string(ch.senders_count_.count());
        out += " ends to send, ";
        out += std::to_string(ch.receivers_count_.count());
        out += " to receive";
    }
    // Handles beside the ends: whoever has one may complete it.
    if (const std::size_t others = ch.refs_.count() - std::min<std::size_t>(ends, ch.refs_.count());
        others != 0 || ends == 0) {
        if (ends != 0) out += ", ";
        out += std::to_string(others);
        out += others == 1 ? " handle" : " handles";
    }
    out += ')';
}

// Only of a channel whose ends are counted, and that has no other handles, is it known who could.
void channel_arm::wakers(wake_sources& out) const {
    if (!on_) return; // a nil channel: nobody
    channel_base& ch = *on_;
    if (!ch.ends_) return out.add_others();
    const try_lock_guard guard(ch.lock_);
    if (!guard) return out.add_others();
    std::size_t handles = ch.ends_->count;
    std::size_t waiting = 0;
    for (const auto* queue : {&ch.receivers_, &ch.senders_})
        for (const channel_arm* a = queue->front(); a && waiting <= most_counted;
             a = queue->next(*a), ++waiting)
            if (a->holds_) ++handles;
    if (waiting > most_counted || ch.ghosts_ != 0 || ch.refs_.count() != handles) {
        out.add_others();
    } else {
        const auto& peers = role == channel_role::receiver ? ch.ends_->senders : ch.ends_->receivers;
        for (const end_hook* e = peers.front(); e; e = peers.next(*e)) {
            if (e->holder) out.add_holder(*e->holder);
            else out.add_others();
        }
    }
}

void channel_base::note_end(end_hook& e, bool sender) noexcept {
    task_block* const task = this_thread().task;
    e.holder = task && task->has(task_flag::beginning) ? task : nullptr;
    lock_guard guard(lock_);
    (sender ? ends_->senders : ends_->receivers).insert(e);
    ++ends_->count;
}

void channel_base::forget_end(end_hook& e, bool sender) noexcept {
    lock_guard guard(lock_);
    (sender ? ends_->senders : ends_->receivers).erase(e);
    --ends_->count;
}

channel_arm* channel_base::claim_later_sender(work_list& ready) noexcept {
    for (channel_arm* a = senders_.front(); a;) {
        channel_arm* const following = senders_.next(*a);
        if (a->role == channel_role::sender) {
            senders_.erase(*a);
            if (a->who->claim(a->index, ready)) return a;
            make_ghost(*a);
        }
        a = following;
    }
    return nullptr;
}

bool channel_base::close(std::error_code why) noexcept {
    work_list ready;
    {
        lock_guard guard(lock_);
        if (closed_.load(std::memory_order_relaxed)) return false;
        if (!why) why = make_error_code(errc::closed); // a code of value 0 is "open"
        reason_value_ = why.value();
        reason_category_ = &why.category();
        closed_.store(true, std::memory_order_release);
        for (auto* queue : {&receivers_, &senders_})
            while (channel_arm* a = claim_first(*queue, ready)) {
                a->status = channel_status::closed;
                a->hold(); // for the reason
            }
    }
    post_all(ready);
    return true;
}

void channel_base::last_handle_gone() noexcept {
    lock_.acquire();
    orphan_ = anything_linked();
    const bool gone = !orphan_;
    lock_.release();
    if (gone) destroy();
}

// What debuggers know of channels; see core/layout.cpp.
struct channel_layout {
    struct table {
        std::uint32_t entries[8];
    };
    static table make() noexcept {
        const auto of = [](std::size_t offset) { return static_cast<std::uint32_t>(offset); };
        return {{
            1,
            of(offsetof(channel_arm, on_)),
            of(offsetof(list_hook, next)),
            of(offsetof(channel_base, capacity_)),
            of(offsetof(channel_base, made_at_)),
            of(offsetof(channel_base, receivers_)),
            of(offsetof(channel_base, senders_)),
            of(offsetof(channel_state<int>, buffer_)) + of(offsetof(value_queue<int>, size_)),
        }};
    }
};

} // namespace levada::detail

extern "C" {
extern const levada::detail::channel_layout::table levada_channel_layout;
[[gnu::used]] const levada::detail::channel_layout::table levada_channel_layout =
    levada::detail::channel_layout::make();
}
