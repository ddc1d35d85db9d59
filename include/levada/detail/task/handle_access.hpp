#pragma once

namespace levada {

template <class T>
class join_handle;

namespace detail {

template <class T>
class result_block;

/// The task of a join_handle, for those who start it or run it.
struct handle_access {
    template <class T>
    [[nodiscard]] static join_handle<T> hold(result_block<T>& t) noexcept {
        return join_handle<T>(t);
    }
    /// Terminates where the handle is empty.
    template <class T>
    [[nodiscard]] static result_block<T>& block(const join_handle<T>& h) noexcept {
        return h.block();
    }
};

} // namespace detail
} // namespace levada
