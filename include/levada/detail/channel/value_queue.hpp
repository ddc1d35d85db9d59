#pragma once

#include <cstddef>
#include <limits>
#include <memory>
#include <new>
#include <utility>

namespace levada::detail {

inline constexpr std::size_t unlimited = std::numeric_limits<std::size_t>::max();

/// The values buffered in a channel: a ring of fixed capacity, or a chain of blocks without a limit, of which
/// an empty one keeps one block or, where places were reserved, some. Nothing here locks; the owner's lock
/// guards it all.
template <class T>
class value_queue {
public:
    explicit value_queue(std::size_t capacity) : capacity_(capacity) {
        if (capacity != 0 && capacity != unlimited) first_ = last_ = make_block(capacity);
    }
    ~value_queue() {
        while (size_ != 0) drop(pop());
        while (first_) free_block(std::exchange(first_, first_->next));
    }
    value_queue(const value_queue&) = delete;
    value_queue& operator=(const value_queue&) = delete;

    [[nodiscard]] std::size_t size() const noexcept { return size_; }

    /// Whether `n` values more have a place. Without a limit, memory is taken for them if it is there.
    [[nodiscard]] bool make_room(std::size_t n) noexcept {
        return capacity_ != unlimited || n <= free_ || add_blocks(n);
    }
    [[nodiscard]] bool is_ring() const noexcept { return capacity_ != unlimited; }
    /// After `make_room`; in a ring, with room.
    void push(T&& value) noexcept {
        if (!is_ring()) [[unlikely]]
            step_into_block();
        push_to_ring(std::move(value));
    }
    /// The oldest value; `size()` > 0.
    T pop() noexcept {
        T value = pop_from_ring();
        if (!is_ring()) [[unlikely]]
            retire();
        return value;
    }

    // The same where it is a ring: no calls but of T's.

    void push_to_ring(T&& value) noexcept {
        ::new (static_cast<void*>(slot(last_, tail_))) T(std::move(value));
        if (++tail_ == capacity_) tail_ = 0;
        ++size_;
    }
    T pop_from_ring() noexcept {
        T* place = slot(first_, head_);
        T value(std::move(*place));
        place->~T();
        --size_;
        if (++head_ == capacity_) head_ = 0;
        return value;
    }

private:
    friend struct channel_layout;
    struct block {
        block* next;
        std::size_t slots;
    };
    static constexpr std::size_t block_size = sizeof(T) >= 512 ? 8 : 4096 / sizeof(T);
    static constexpr std::size_t alignment = alignof(T) > alignof(block) ? alignof(T) : alignof(block);
    static constexpr std::size_t offset = (sizeof(block) + alignof(T) - 1) / alignof(T) * alignof(T);

    static void drop(T&&) noexcept {}
    static T* slot(block* b, std::size_t i) noexcept {
        return std::launder(reinterpret_cast<T*>(reinterpret_cast<std::byte*>(b) + offset)) + i;
    }
    static block* make_block(std::size_t slots) {
        if (slots > (std::numeric_limits<std::size_t>::max() / 2 - offset) / sizeof(T))
            throw std::bad_array_new_length();
        return ::new (::operator new(offset + slots * sizeof(T), std::align_val_t(alignment)))
            block{nullptr, slots};
    }
    static void free_block(block* b) noexcept { ::operator delete(b, std::align_val_t(alignment)); }

    // Behind the last one, for those who come.
    [[gnu::noinline]] bool add_blocks(std::size_t n) noexcept {
        block** end = last_ ? &last_->next : &first_;
        while (*end) end = &(*end)->next;
        try {
            for (; free_ < n; free_ += block_size) {
                *end = make_block(block_size);
                end = &(*end)->next;
            }
        } catch (const std::bad_alloc&) {
            return false;
        }
        return true;
    }
    void step_into_block() noexcept {
        --free_;
        if (last_ && tail_ != block_size) return;
        last_ = last_ ? last_->next : first_;
        tail_ = 0;
    }
    void retire() noexcept {
        if (size_ == 0) {
            free_ += tail_;
            head_ = tail_ = 0; // only the last block is left, with what is free: it is used again
        } else if (head_ == block_size) {
            free_block(std::exchange(first_, first_->next));
            head_ = 0;
        }
    }

    std::size_t capacity_;
    std::size_t size_ = 0;
    block* first_ = nullptr;
    block* last_ = nullptr;
    std::size_t head_ = 0;
    std::size_t tail_ = 0;
    std::size_t free_ = 0; // without a limit: places behind the tail, in the last block and those behind it
};

} // namespace levada::detail
