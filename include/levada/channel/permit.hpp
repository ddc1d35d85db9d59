#pragma once

#include <concepts>
#include <type_traits>
#include <utility>

#include <levada/base/result.hpp>
#include <levada/detail/channel/channel_state.hpp>
#include <levada/detail/channel/stored.hpp>
#include <levada/detail/engine/doors.hpp>
#include <levada/detail/engine/schedule_point.hpp>
#include <levada/detail/util/fatal.hpp>

namespace levada {
namespace detail {

template <class T>
class reserve_op;

} // namespace detail

/// A reserved place in a bounded channel, or in one without a limit. Dropped, it frees the place. Move-only.
template <class T>
class [[nodiscard]] permit {
public:
    permit(permit&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
    permit& operator=(permit&& other) noexcept {
        if (this != &other) {
            release();
            state_ = std::exchange(other.state_, nullptr);
        }
        return *this;
    }
    ~permit() { release(); }

    /// Puts the value into the place, at once. Fails with `errc::closed` only; the value is untouched then.
    /// A permit is used once. *Threads*: any.
    result<void> send(detail::stored<T>&& value) noexcept {
        detail::schedule_point();
        if (!state_) detail::fatal("a permit was used twice, or after it was moved from");
        auto* state = std::exchange(state_, nullptr);
        const bool sent = state->send_reserved(value);
        state->unref();
        if (!sent) return fail(errc::closed);
        return {};
    }
    result<void> send(const detail::stored<T>& value)
        requires std::copy_constructible<detail::stored<T>>
    {
        return send(detail::stored<T>(value));
    }
    result<void> send() noexcept
        requires std::is_void_v<T>
    {
        return send(detail::unit());
    }

private:
    friend class detail::reserve_op<T>;
    explicit permit(detail::channel_state<detail::stored<T>>& state) noexcept : state_(&state) {
        state.ref();
    }
    void release() noexcept {
        if (!state_) return;
        state_->free_reserved();
        std::exchange(state_, nullptr)->unref();
    }
    detail::channel_state<detail::stored<T>>* state_;
};

} // namespace levada
