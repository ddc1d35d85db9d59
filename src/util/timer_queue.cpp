#include <levada/detail/util/timer_queue.hpp>

#include <algorithm>
#include <bit>
#include <chrono>
#include <utility>

namespace levada::detail {

timer_node* timer_heap::merge(timer_node* a, timer_node* b) noexcept {
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

timer_node* timer_heap::merge_siblings(timer_node* first) noexcept {
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

void timer_heap::insert(timer_node& t) noexcept {
    t.child_ = t.next_ = t.prev_ = nullptr;
    root_ = merge(root_, &t);
}

void timer_heap::erase(timer_node& t) noexcept {
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

timer_queue::tick timer_queue::of(time_point t) noexcept {
    const auto ns = std::chrono::nanoseconds(t.time_since_epoch()).count();
    return ns < 0 ? 0 : static_cast<tick>(ns);
}

// The slot that comes first, of those that hold timers. Those of a level all lie before those of the next.
timer_queue::place timer_queue::first_place() const noexcept {
    for (unsigned level = 0; level < levels; ++level) {
        if (used_[level] == 0) continue;
        const auto at = static_cast<unsigned>(std::countr_zero(used_[level]));
        const tick above = level + 1 < levels ? horizon_ >> shift(level + 1) << shift(level + 1) : 0;
        return {static_cast<std::uint16_t>(level << slot_bits | at), above | tick(at) << shift(level)};
    }
    return {in_heap, 0};
}

void timer_queue::put(timer_node& t) noexcept {
    const tick when = of(t.deadline_);
    if (when < horizon_) {
        t.slot_ = in_heap;
        near_.insert(t);
        return;
    }
    // The level of the highest digit that is not the horizon's.
    const auto unlike = static_cast<unsigned>(std::bit_width((when ^ horizon_) >> finest));
    const unsigned level = unlike == 0 ? 0 : (unlike - 1) / slot_bits;
    const unsigned at = digit(when, level);
    t.slot_ = static_cast<std::uint16_t>(level << slot_bits | at);
    timer_node*& head = wheel_[t.slot_];
    t.prev_ = nullptr;
    t.next_ = head;
    if (head) head->prev_ = &t;
    head = &t;
    used_[level] |= std::uint64_t(1) << at;
}

void timer_queue::unlink(timer_node& t) noexcept {
    if (t.slot_ == in_heap) return near_.erase(t);
    if (t.next_) t.next_->prev_ = t.prev_;
    if (t.prev_) t.prev_->next_ = t.next_;
    else if (wheel_[t.slot_] = t.next_; !t.next_) (void)take(t.slot_);
    t.next_ = t.prev_ = nullptr;
}

timer_node* timer_queue::take(std::uint16_t slot) noexcept {
    used_[slot >> slot_bits] &= ~(std::uint64_t(1) << (slot & ((1u << slot_bits) - 1)));
    return std::exchange(wheel_[slot], nullptr);
}

void timer_queue::put_all(timer_node* list) noexcept {
    while (list) {
        timer_node* t = list;
        list = t->next_;
        put(*t);
    }
}

// No timer of the wheel is before `to`. Slots that it comes into are dealt out to the levels below.
void timer_queue::advance(tick to) noexcept {
    horizon_ = to;
    for (unsigned level = levels - 1; level > 0; --level)
        if (used_[level] >> digit(to, level) & 1)
            put_all(take(static_cast<std::uint16_t>(level << slot_bits | digit(to, level))));
}

void timer_queue::insert(timer_node& t, time_point deadline) noexcept {
    t.deadline_ = deadline;
    t.order_ = order_++;
    t.armed_ = true;
    ++count_;
    put(t);
    if (deadline < earliest_) earliest_ = deadline;
}

void timer_queue::erase(timer_node& t) noexcept {
    if (!t.armed_) return;
    t.armed_ = false;
    --count_;
    unlink(t);
    if (count_ == 0) {
        earliest_ = time_point::max();
        stale_ = false;
    } else if (t.deadline_ <= earliest_) {
        stale_ = true;
    }
}

time_point timer_queue::earliest() const noexcept {
    constexpr int few = 8;
    if (!std::exchange(stale_, false)) return earliest_;
    earliest_ = time_point::max();
    if (near_.first()) return earliest_ = near_.first()->deadline_;
    const place first = first_place();
    if (first.slot == in_heap) return earliest_;
    int n = 0;
    for (const timer_node* t = wheel_[first.slot]; t; t = t->next_) {
        if (n++ == few) return earliest_ = time_point(std::chrono::nanoseconds(first.begin));
        earliest_ = std::min(earliest_, t->deadline_);
    }
    return earliest_;
}

void timer_queue::drop_all() noexcept {
    while (count_ != 0) {
        timer_node* t = near_.first();
        if (!t) t = wheel_[first_place().slot];
        erase(*t);
        t->dropped();
    }
}

void timer_queue::fire_until(time_point t, std::size_t most) noexcept {
    constexpr tick width = tick(1) << finest;
    const tick until = of(t);
    if (earliest_ <= t) stale_ = true; // a moment to look at that has come, whatever is found there
    for (;;) {
        while (timer_node* due = near_.first()) {
            if (due->deadline_ > t) break;
            if (most-- == 0) return; // stale: the next look finds it
            erase(*due);
            due->fire();
        }
        const place first = first_place();
        if (first.slot == in_heap || first.begin > until) break;
        stale_ = true;
        if (first.slot >> slot_bits != 0) {
            advance(first.begin);
        } else {
            timer_node* list = take(first.slot);
            advance(first.begin + width);
            put_all(list);
        }
    }
    // So that what is armed next stands as near as it is.
    if (const tick here = (until >> finest << finest) + width; here > horizon_) advance(here);
}

} // namespace levada::detail
