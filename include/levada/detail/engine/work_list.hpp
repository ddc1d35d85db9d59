#pragma once

#include <levada/base/executor.hpp>

namespace levada::detail {

/// A first-in-first-out list of work, linked through the works themselves.
class work_list {
public:
    [[nodiscard]] bool empty() const noexcept { return head_ == nullptr; }
    void push(work& w) noexcept {
        w.next_ = nullptr;
        // Branches: clang would make a conditional store address of `?:`, which the store then waits for.
        if (head_) [[unlikely]]
            tail_->next_ = &w;
        else head_ = &w;
        tail_ = &w;
    }
    void push_front(work& w) noexcept {
        w.next_ = head_;
        if (!head_) tail_ = &w;
        head_ = &w;
    }
    [[nodiscard]] work* pop() noexcept {
        work* w = head_;
        if (w) head_ = w->next_;
        return w;
    }
    /// Takes `w` out if it is among the first `most`. False if it is not.
    [[nodiscard]] bool extract(work& w, unsigned most) noexcept {
        work* before = nullptr;
        for (work* at = head_; at && most != 0; before = at, at = at->next_, --most) {
            if (at != &w) continue;
            (before ? before->next_ : head_) = w.next_;
            if (tail_ == &w) tail_ = before;
            return true;
        }
        return false;
    }
    [[nodiscard]] work* front() const noexcept { return head_; }
    /// The one behind `w`.
    [[nodiscard]] static work* next(const work& w) noexcept { return w.next_; }
    void append(work_list&& other) noexcept {
        if (other.empty()) return;
        (head_ ? tail_->next_ : head_) = other.head_;
        tail_ = other.tail_;
        other.head_ = nullptr;
    }

private:
    work* head_ = nullptr;
    work* tail_ = nullptr; // meaningful only while head_ is set
};

} // namespace levada::detail
