#pragma once

#include <string>
#include <utility>

#include <levada/base/result.hpp>
#include <levada/detail/io/listener_state.hpp>
#include <levada/detail/io/system_failure.hpp>
#include <levada/detail/loop/multishot.hpp>

namespace levada::detail {

/// Waits for a connection; see tcp_listener::accept.
template <class Stream>
class [[nodiscard]] accept_op final : public awaitable_arm<accept_op<Stream>, arrival_arm<accepted>> {
    using base = awaitable_arm<accept_op, arrival_arm<accepted>>;

public:
    using outcome = result<Stream>;
    explicit accept_op(listener_state& l) noexcept : base(*l.accepting) {}
    accept_op(accept_op&& other) noexcept : base(other.from()) {}
    void describe(std::string& out) const override { out += "accept"; }
    outcome await_resume() { return take(); }
    outcome take() {
        accepted got = this->taken();
        if (got.failure != 0) return system_failure(got.failure);
        return Stream(std::move(got.connection));
    }
};

} // namespace levada::detail
