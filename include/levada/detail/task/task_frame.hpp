#pragma once

#include <coroutine>

#include <levada/detail/engine/promise.hpp>

namespace levada::detail {

/// Erases the type of a frame; every promise lies at the same distance from its frame.
template <class T>
[[nodiscard]] frame_handle erase(std::coroutine_handle<promise<T>> h) noexcept {
    static_assert(alignof(promise<T>) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__);
    return frame_handle::from_address(h.address());
}
template <class T>
[[nodiscard]] std::coroutine_handle<promise<T>> typed(frame_handle h) noexcept {
    return std::coroutine_handle<promise<T>>::from_address(h.address());
}

/// Destroys a finished frame, whatever happens while its value is taken.
template <class T>
class frame_owner {
public:
    explicit frame_owner(std::coroutine_handle<promise<T>> h) noexcept : frame_(h) {}
    ~frame_owner() { frame_.destroy(); }
    frame_owner(const frame_owner&) = delete;
    frame_owner& operator=(const frame_owner&) = delete;
    T take() { return frame_.promise().take(); }

private:
    std::coroutine_handle<promise<T>> frame_;
};

} // namespace levada::detail
