#pragma once

#include <cstdint>

#include <levada/base/clock.hpp>

namespace levada::detail {

/// Something that happens at a deadline. It stands in one `timer_queue` at a time.
class timer_node {
public:
    [[nodiscard]] time_point deadline() const noexcept { return deadline_; }
    [[nodiscard]] bool armed() const noexcept { return armed_; }

protected:
    timer_node() = default;
    virtual ~timer_node() = default;

private:
    friend class timer_queue;
    /// Called once, off the queue, on the queue's thread.
    virtual void fire() noexcept = 0;
    /// Called instead where the queue goes first.
    virtual void dropped() noexcept {}

    timer_node* child_ = nullptr;
    timer_node* next_ = nullptr;
    timer_node* prev_ = nullptr; // the left sibling, or the parent of a first child
    time_point deadline_{};
    std::uint64_t order_ = 0; // equal deadlines fire in the order of arming
    bool armed_ = false;
};

/// The timers of one loop: a pairing heap inside the nodes. Arming is O(1), dropping and firing amortised
/// O(log n); nothing is allocated. Used on its loop's thread only.
/// (Fredman, Sedgewick, Sleator, Tarjan: The pairing heap, 1986.)
class timer_queue {
public:
    void insert(timer_node& t, time_point deadline) noexcept;
    void erase(timer_node& t) noexcept;
    [[nodiscard]] bool empty() const noexcept { return root_ == nullptr; }
    /// The nearest deadline; `time_point::max()` without timers.
    [[nodiscard]] time_point earliest() const noexcept {
        return root_ ? root_->deadline_ : time_point::max();
    }
    /// Fires all that are due.
    void fire_until(time_point t) noexcept;
    /// Lets go of all, without firing.
    void drop_all() noexcept;

private:
    static bool before(const timer_node& a, const timer_node& b) noexcept {
        return a.deadline_ != b.deadline_ ? a.deadline_ < b.deadline_ : a.order_ < b.order_;
    }
    static timer_node* merge(timer_node* a, timer_node* b) noexcept;
    static timer_node* merge_siblings(timer_node* first) noexcept;

    timer_node* root_ = nullptr;
    std::uint64_t order_ = 0;
};

} // namespace levada::detail
