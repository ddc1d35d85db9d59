#pragma once

#include <atomic>
#include <cstdint>
#include <thread>

#include <levada/cancel/token.hpp>
#include <levada/detail/engine/tree.hpp>
#include <levada/detail/util/intrusive_list.hpp>

namespace levada::detail {

/// A leaf that runs a function. Its states:
/// `linked` in its parent's list (guarded by the parent's lock); `queued` in the list of a canceller, and
/// `running` (both guarded by one global lock); `done`.
class callback_entry : public tree_entry {
public:
    callback_entry() noexcept : tree_entry(node_kind::callback) {}
    callback_entry(const callback_entry&) = delete;
    callback_entry& operator=(const callback_entry&) = delete;

    enum class state : std::uint8_t { idle, linked, queued, running, done };

protected:
    ~callback_entry() = default;
    /// Links below `t`, or runs at once if that is cancelled.
    void attach(const cancel_token& t) noexcept;
    /// True when the function will not run, and did not.
    bool detach() noexcept;

private:
    friend class tree_node;
    friend struct after_unlock;
    virtual void call() noexcept = 0;
    static void run_all(intrusive_list<callback_entry>& queue) noexcept;

    cancel_token token_;
    intrusive_list<callback_entry>* queue_ = nullptr;
    std::thread::id runner_;
    bool* gone_ = nullptr; // set by a destructor that runs inside call()
    std::atomic<state> state_{state::idle};
};

} // namespace levada::detail
