#pragma once

#include <cstdint>
#include <string>
#include <system_error>
#include <vector>

#include <levada/io/address.hpp>
#include <levada/task/task.hpp>

namespace levada {

/// The addresses of a host, as the system knows them (getaddrinfo: /etc/hosts, DNS, ...), in the order to try
/// them, with `port`.
///
/// *Suspends* until they are known; the look-up blocks a thread of a pool of its own, of 16, and no loop and
/// no call of `offload`. A number (IPv4 or IPv6) is given back at once. *Outcomes*: at least one address; a
/// code of `resolve_category()`; the system's code, `std::errc::resource_unavailable_try_again` where no
/// thread can be started. *Cancel*: stops waiting at once; a look-up that has not begun is withdrawn, one
/// that has goes on, and its answer is dropped.
[[nodiscard]] task<result<std::vector<socket_address>>> resolve(std::string host, std::uint16_t port = 0);

/// Of the codes that getaddrinfo gives: EAI_NONAME, EAI_AGAIN, ...
[[nodiscard]] const std::error_category& resolve_category() noexcept;

} // namespace levada
