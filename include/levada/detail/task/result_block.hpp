#pragma once

#include <exception>
#include <type_traits>

#include <levada/base/result.hpp>
#include <levada/detail/engine/promise.hpp>
#include <levada/detail/engine/task_block.hpp>

namespace levada::detail {

/// A task block with room for the task's result.
template <class T>
class result_block : public task_block {
public:
    using task_block::task_block;
    using value_type = T;

    /// Once the task has ended: its value, what it threw, or why it was cancelled. Once only.
    flat_result<T> take_result() {
        if (has(task_flag::failed)) std::rethrow_exception(take_exception());
        if (has(task_flag::cancelled)) return fail(reason());
        if constexpr (std::is_void_v<T>) return {};
        else return take_value();
    }
    void drop_value() noexcept { slot_.reset(); }
    T take_value() noexcept(std::is_void_v<T> || std::is_nothrow_move_constructible_v<T>) {
        if constexpr (!std::is_void_v<T>) return static_cast<T&&>(slot_.get());
    }

protected:
    ~result_block() = default;
    [[no_unique_address]] value_slot<T> slot_;
};

} // namespace levada::detail
