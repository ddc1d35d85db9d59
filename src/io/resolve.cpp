#include <levada/io/resolve.hpp>

#include <netdb.h>
#include <sys/socket.h>

#include <cerrno>
#include <memory>
#include <new>
#include <utility>

#include <levada/channel/channel.hpp>

#include "../loop/offload_pool.hpp"

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

/// A question to the system. It is shared by the task that waits and, until it is answered, by the pool.
class look_up_job final : public detail::pool_job {
public:
    look_up_job(std::string host, std::uint16_t port) : host_(std::move(host)), port_(port) {}

    [[nodiscard]] static std::error_code submit(const std::shared_ptr<look_up_job>& job) noexcept {
        job->self_ = job;
        const std::error_code error = detail::offload_pool::of_look_ups().submit(*job);
        if (error) job->self_.reset();
        return error;
    }
    /// Nobody waits any more: one that has not begun need not begin.
    void give_up() noexcept {
        if (detail::offload_pool::of_look_ups().withdraw(*this)) self_.reset();
    }
    [[nodiscard]] auto answer() const noexcept { return answer_.recv(); }

private:
    void work_here() noexcept override {
        const std::shared_ptr<look_up_job> self = std::move(self_);
        try {
            static_cast<void>(answer_.try_send(look_up(host_, port_))); // there is room
        } catch (const std::bad_alloc&) {
            answer_.close(std::make_error_code(std::errc::not_enough_memory));
        }
    }

    std::string host_;
    std::uint16_t port_;
    channel<result<addresses>> answer_{1};
    std::shared_ptr<look_up_job> self_; // while the pool has it
};

/// A look-up for as long as somebody waits for it.
class waited_for {
public:
    explicit waited_for(std::shared_ptr<look_up_job> job) noexcept : job_(std::move(job)) {}
    ~waited_for() { job_->give_up(); }
    waited_for(const waited_for&) = delete;
    waited_for& operator=(const waited_for&) = delete;

private:
    std::shared_ptr<look_up_job> job_;
};

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
    // Not an offload, which is waited for: a wait that is cancelled ends, and a loop too, however long the
    // system tries.
    const auto job = std::make_shared<look_up_job>(std::move(host), port);
    if (const std::error_code error = look_up_job::submit(job)) co_return fail(error);
    const waited_for until_answered(job);
    auto found = co_await job->answer();
    if (!found) co_return fail(found.error());
    co_return std::move(*found);
}

} // namespace levada
