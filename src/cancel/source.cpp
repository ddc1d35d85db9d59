#include <levada/cancel/source.hpp>

#include <algorithm>

namespace levada {

cancel_source::cancel_source(time_point deadline, const cancel_token& parent, std::error_code late)
    : node_(detail::source_node::make()) {
    node_->own();
    const time_point inherited = parent.deadline();
    node_->deadline = std::min(deadline, inherited);
    node_->late = deadline <= inherited && late ? late : make_error_code(errc::timed_out);
    // Off a loop the parent's timer may not run yet either.
    node_->own_timer = deadline < inherited || !executor::current();
    if (detail::tree_node* const above = detail::token_access::node(parent)) above->adopt(*node_);
    if (node_->deadline <= now()) node_->cancel(node_->late);
    else node_->arm_deadline();
}

void cancel_source::release() noexcept {
    if (!node_) return;
    node_->cancel(errc::cancelled);
    node_->disarm();
    node_->leave();
    node_->disown();
    std::exchange(node_, nullptr)->unref();
}

} // namespace levada
