#pragma once

#include <atomic>

#include <levada/base/executor.hpp>

namespace levada::detail {

/// A first-in-first-out list of work, linked through the works themselves.
class work_list {
public:
    work_list() noexcept = default;
    /// What was there is in the other list too, of which one is to be forgotten.
    work_list(const work_list& other) noexcept : head_(other.front()), tail_(other.tail_) {}
    work_list& operator=(const work_list& other) noexcept {
        set_head(other.front());
        tail_ = other.tail_;
        return *this;
    }

    /// *Threads*: any, for a guess.
    [[nodiscard]] bool empty() const noexcept { return front() == nullptr; }
    void push(work& w) noexcept {
        w.next_ = nullptr;
        // Branches: clang would make a conditional store address of `?:`, which the store then waits for.
        if (front()) [[unlikely]]
            tail_->next_ = &w;
        else set_head(&w);
        tail_ = &w;
    }
    void push_front(work& w) noexcept {
        work* const first = front();
        w.next_ = first;
        if (!first) tail_ = &w;
        set_head(&w);
    }
    [[nodiscard]] work* pop() noexcept {
        work* const w = front();
        if (w) set_head(w->next_);
        return w;
    }
    /// Takes `w` out if it is among the first `most`. False if it is not.
    [[nodiscard]] bool extract(work& w, unsigned most) noexcept {
        work* before = nullptr;
        for (work* at = front(); at && most != 0; before = at, at = at->next_, --most) {
            if (at != &w) continue;
            if (before) before->next_ = w.next_;
            else set_head(w.next_);
            if (tail_ == &w) tail_ = before;
            return true;
        }
        return false;
    }
    [[nodiscard]] work* front() const noexcept { return head_.load(std::memory_order_relaxed); }
    /// The one behind `w`.
    [[nodiscard]] static work* next(const work& w) noexcept { return w.next_; }
    void append(work_list&& other) noexcept {
        if (other.empty()) return;
        if (front()) tail_->next_ = other.front();
        else set_head(other.front());
        tail_ = other.tail_;
        other.set_head(nullptr);
    }

private:
    void set_head(work* w) noexcept { head_.store(w, std::memory_order_relaxed); }

    // Relaxed: whoever takes works from the list is its only user; others only ask whether there are some.
    std::atomic<work*> head_{nullptr};
    work* tail_ = nullptr; // meaningful only while head_ is set
};

} // namespace levada::detail
