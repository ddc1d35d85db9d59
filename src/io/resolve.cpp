#include <levada/io/resolve.hpp>

#include <netdb.h>
#include <sys/socket.h>

#include <cerrno>
#include <memory>
#include <utility>

#include <levada/runtime/offload.hpp>
#include <levada/sync/channel.hpp>

namespace levada {
namespace {

class category final : public std::error_category {
public:
    const char* name() const noexcept override { return "resolve"; }
    std::string message(int code) const override { return ::gai_strerror(code); }
};

using addresses = std::vector<socket_address>;

result<addresses> look_up(const std::string& host, std::uint16_t port) {
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV;
    addrinfo* found = nullptr;
    const int code = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
    if (code == EAI_SYSTEM) return fail(std::error_code(errno, std::system_category()));
    if (code != 0) return fail(std::error_code(code, resolve_category()));
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);
    addresses out;
    for (const addrinfo* a = found; a; a = a->ai_next) out.emplace_back(a->ai_addr, a->ai_addrlen);
    return out;
}

} // namespace

const std::error_category& resolve_category() noexcept {
    static const category all;
    return all;
}

task<result<std::vector<socket_address>>> resolve(std::string host, std::uint16_t port) {
    const bool ipv6 = host.find(':') != std::string::npos;
    const std::string digits = std::to_string(port);
    if (!host.empty())
        if (auto number = socket_address::parse(ipv6 ? "[" + host + "]:" + digits : host + ":" + digits))
            co_return addresses{*number};
    if (host.empty() || host.find('\0') != std::string::npos)
        co_return fail(std::make_error_code(std::errc::invalid_argument));
    channel<result<addresses>> answer(1);
    // For nobody: so that a wait that is cancelled ends, and a loop too, however long the system tries.
    detail::offload_for_nobody([host = std::move(host), port, answer]() noexcept {
        static_cast<void>(answer.try_send(look_up(host, port))); // there is room
    });
    auto found = co_await answer.recv();
    if (!found) co_return fail(found.error());
    co_return std::move(*found);
}

} // namespace levada
