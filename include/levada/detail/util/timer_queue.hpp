#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>

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
    friend class timer_heap;
    friend class timer_queue;
    /// Called once, off the queue, on the queue's thread.
    virtual void fire() noexcept = 0;
    /// Called instead where the queue goes first.
    virtual void dropped() noexcept {}

    timer_node* child_ = nullptr; // in the heap
    timer_node* next_ = nullptr;
    timer_node* prev_ = nullptr; // the left sibling, or in the heap the parent of a first child
    time_point deadline_{};
    std::uint64_t order_ = 0; // equal deadlines fire in the order of arming
    std::uint16_t slot_ = 0;  // of the wheel
    bool armed_ = false;
};

/// A pairing heap inside the nodes: to insert is O(1), to erase amortised O(log n).
/// (Fredman, Sedgewick, Sleator, Tarjan: The pairing heap, 1986.)
class timer_heap {
public:
    void insert(timer_node& t) noexcept;
    void erase(timer_node& t) noexcept;
    [[nodiscard]] timer_node* first() const noexcept { return root_; }

private:
    static bool before(const timer_node& a, const timer_node& b) noexcept {
        return a.deadline_ != b.deadline_ ? a.deadline_ < b.deadline_ : a.order_ < b.order_;
    }
    static timer_node* merge(timer_node* a, timer_node* b) noexcept;
    static timer_node* merge_siblings(timer_node* first) noexcept;

    timer_node* root_ = nullptr;
};

/// The timers of one loop. Those of the next 65 us are in a heap, which has them in order; the others in a
/// wheel of wheels, whose slots are lists without an order and are sorted when their time comes. To arm or to
/// drop a timer far off is O(1), whatever their number; nothing is allocated. Used on its loop's thread only.
/// (Varghese, Lauck: Hashed and hierarchical timing wheels, 1987.)
class timer_queue {
public:
    void insert(timer_node& t, time_point deadline) noexcept;
    void erase(timer_node& t) noexcept;
    [[nodiscard]] bool empty() const noexcept { return count_ == 0; }
    /// When to look next: at the nearest deadline, or before it where many timers stand close together far
    /// off. `time_point::max()` without timers.
    [[nodiscard]] time_point earliest() const noexcept;
    /// Fires those that are due, the earliest first, `most` at most.
    void fire_until(time_point t, std::size_t most = std::numeric_limits<std::size_t>::max()) noexcept;
    /// Lets go of all, without firing.
    void drop_all() noexcept;

private:
    using tick = std::uint64_t; // ns since the epoch of the clock
    static constexpr unsigned levels = 8;
    static constexpr unsigned slot_bits = 6; // 64 slots a level
    static constexpr unsigned finest = 16; // a slot of level 0 is 2^16 ns wide, one of the next 64 times that
    static constexpr std::uint16_t in_heap = levels << slot_bits;

    static constexpr unsigned shift(unsigned level) noexcept { return finest + slot_bits * level; }
    static unsigned digit(tick t, unsigned level) noexcept {
        return static_cast<unsigned>(t >> shift(level)) & ((1u << slot_bits) - 1);
    }
    static tick of(time_point t) noexcept;

    struct place {
        std::uint16_t slot;
        tick begin;
    };
    [[nodiscard]] place first_place() const noexcept;
    void put(timer_node& t) noexcept;
    void unlink(timer_node& t) noexcept;
    [[nodiscard]] timer_node* take(std::uint16_t slot) noexcept;
    void put_all(timer_node* list) noexcept;
    void advance(tick to) noexcept;

    timer_heap near_;
    std::array<timer_node*, levels << slot_bits> wheel_{};
    std::array<std::uint64_t, levels> used_{}; // a bit a slot
    tick horizon_ = 0;                         // a multiple of 2^finest
    std::size_t count_ = 0;
    std::uint64_t order_ = 0;
    mutable time_point earliest_ = time_point::max();
    mutable bool stale_ = false; // earliest_ may be before what `earliest` would find
};

} // namespace levada::detail
