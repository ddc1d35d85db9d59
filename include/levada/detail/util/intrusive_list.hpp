#pragma once

#include <cstddef>

namespace levada::detail {

/// The links of an object that stands in one list at a time; without meaning while it stands in none.
struct list_hook {
    list_hook() noexcept {} // NOLINT: operations are made too often to clear what `push_back` sets
    list_hook* next;
    list_hook* prev;
};

/// A doubly linked first-in-first-out list of `T`s that derive from `list_hook`. It owns nothing and
/// allocates nothing; every operation is O(1).
template <class T>
class intrusive_list {
public:
    [[nodiscard]] bool empty() const noexcept { return head_ == nullptr; }
    [[nodiscard]] T* front() const noexcept { return static_cast<T*>(head_); }
    [[nodiscard]] static T* next(const T& node) noexcept { return static_cast<T*>(node.list_hook::next); }

    void push_back(T& item) noexcept {
        list_hook& node = item;
        node.next = nullptr;
        node.prev = tail_;
        (tail_ ? tail_->next : head_) = &node;
        tail_ = &node;
    }
    void erase(T& item) noexcept {
        list_hook& node = item;
        (node.prev ? node.prev->next : head_) = node.next;
        (node.next ? node.next->prev : tail_) = node.prev;
    }
    T* pop_front() noexcept {
        T* first = front();
        if (!first) return nullptr;
        list_hook* const second = static_cast<list_hook&>(*first).next;
        head_ = second;
        if (second) [[unlikely]]
            second->prev = nullptr;
        else tail_ = nullptr;
        return first;
    }

private:
    list_hook* head_ = nullptr;
    list_hook* tail_ = nullptr;
};

/// The same with one pointer for a head, for those who need no order: newest first.
template <class T>
class intrusive_bag {
public:
    [[nodiscard]] bool empty() const noexcept { return head_ == nullptr; }
    [[nodiscard]] T* front() const noexcept { return static_cast<T*>(head_); }
    [[nodiscard]] static T* next(const T& node) noexcept { return static_cast<T*>(node.list_hook::next); }

    void insert(T& item) noexcept {
        list_hook& node = item;
        node.prev = nullptr;
        node.next = head_;
        if (head_) head_->prev = &node;
        head_ = &node;
    }
    /// Behind one that is in it.
    void insert_after(T& before, T& item) noexcept {
        list_hook& node = item;
        list_hook& left = before;
        node.prev = &left;
        node.next = left.next;
        if (node.next) node.next->prev = &node;
        left.next = &node;
    }
    void erase(T& item) noexcept {
        list_hook& node = item;
        (node.prev ? node.prev->next : head_) = node.next;
        if (node.next) node.next->prev = node.prev;
    }

private:
    list_hook* head_ = nullptr;
};

} // namespace levada::detail
