#include <levada/sync/event.hpp>

#include <levada/detail/engine/schedule_point.hpp>
#include <levada/detail/util/fatal.hpp>

namespace levada {

using detail::lock_guard;

event::~event() {
    lock_guard guard(gate_.guarded_by());
    if (gate_.is_waited_for())
        detail::fatal_unless_exiting("an event was destroyed while somebody waits for it; made", where_);
}

void event::set() noexcept {
    detail::schedule_point();
    detail::work_list ready;
    {
        lock_guard guard(gate_.guarded_by());
        gate_.open(ready);
        // The waiters may destroy the event: it is not touched after this.
    }
    detail::post_all(ready);
}

void event::reset() noexcept {
    detail::schedule_point();
    lock_guard guard(gate_.guarded_by());
    gate_.shut();
}

bool event::is_set() const noexcept {
    detail::schedule_point();
    lock_guard guard(gate_.guarded_by());
    return gate_.is_open();
}

void event::wait_blocking() noexcept {
    detail::gate_op op(gate_);
    detail::block_on(op);
}

} // namespace levada
