#include <levada/base/timer_queue.hpp>

namespace levada::detail {

timer_node* timer_queue::merge(timer_node* a, timer_node* b) noexcept {
    if (!a) return b;
    if (!b) return a;
    if (before(*b, *a)) {
        timer_node* t = a;
        a = b;
        b = t;
    }
    b->next_ = a->child_;
    if (b->next_) b->next_->prev_ = b;
    b->prev_ = a;
    a->child_ = b;
    a->next_ = a->prev_ = nullptr;
    return a;
}

timer_node* timer_queue::merge_siblings(timer_node* first) noexcept {
    // Left to right in pairs, then right to left: what makes the bounds hold. The pairs are kept in a list
    // that is linked backwards through prev_.
    timer_node* pairs = nullptr;
    while (first) {
        timer_node* a = first;
        timer_node* b = a->next_;
        first = b ? b->next_ : nullptr;
        a->next_ = a->prev_ = nullptr;
        if (b) b->next_ = b->prev_ = nullptr;
        timer_node* m = merge(a, b);
        m->prev_ = pairs;
        pairs = m;
    }
    timer_node* all = nullptr;
    while (pairs) {
        timer_node* m = pairs;
        pairs = m->prev_;
        m->prev_ = nullptr;
        all = merge(all, m);
    }
    return all;
}

void timer_queue::insert(timer_node& t, time_point deadline) noexcept {
    t.deadline_ = deadline;
    t.order_ = order_++;
    t.child_ = t.next_ = t.prev_ = nullptr;
    t.armed_ = true;
    root_ = merge(root_, &t);
}

void timer_queue::erase(timer_node& t) noexcept {
    if (!t.armed_) return;
    t.armed_ = false;
    timer_node* below = merge_siblings(t.child_);
    t.child_ = nullptr;
    if (root_ == &t) {
        root_ = below;
        return;
    }
    if (t.prev_->child_ == &t) t.prev_->child_ = t.next_;
    else t.prev_->next_ = t.next_;
    if (t.next_) t.next_->prev_ = t.prev_;
    t.next_ = t.prev_ = nullptr;
    root_ = merge(root_, below);
}

void timer_queue::drop_all() noexcept {
    while (root_) {
        timer_node* first = root_;
        erase(*first);
        first->dropped();
    }
}

void timer_queue::fire_until(time_point t) noexcept {
    while (root_ && root_->deadline_ <= t) {
        timer_node* due = root_;
        erase(*due);
        due->fire();
    }
}

} // namespace levada::detail
