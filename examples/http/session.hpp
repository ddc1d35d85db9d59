#pragma once

// A client's connection: requests come in, answers go out, in order.

#include <sys/socket.h>

#include <poll.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <levada/levada.hpp>

#include "answer.hpp"
#include "conditions.hpp"
#include "known_file.hpp"
#include "request.hpp"
#include "target.hpp"

namespace http {

using namespace levada;
using namespace std::chrono_literals;

struct totals {
    std::atomic<std::uint64_t> requests = 0; // sessions run on all cores
    std::atomic<std::uint64_t> failures = 0; // answered by 4xx or 5xx
    time_point began = levada::now();
};

struct configuration {
    std::string root;
    std::chrono::seconds header_limit = 10s;
};

struct site {
    configuration set;
    totals all;
    file_cache files;
};

class session {
public:
    session(site& s, tcp_stream client) : site_(s), in_(std::move(client), 256) {}

    // All that an idle connection holds is in this frame, and a small buffer.
    static task<> serve(site& with, tcp_stream client, cancel_token draining) {
        session self(with, std::move(client));
        cancel_token drains = draining;
        time_point limit = levada::now() + keep_alive;
        bool begun = false;
        while (!self.closing_) {
            self.parse();
            if (self.refused_) break;
            if (self.request_.whole()) {
                self.closing_ = !self.request_.keeps_alive() || draining.cancelled();
                co_await self.answer();
                self.request_.reset();
                limit = levada::now() + keep_alive;
                begun = false;
                if (self.out_.size() >= most_gathered) co_await self.flush();
                if (!self.in_.peek().empty()) continue;
            } else if (self.request_.begun() && !std::exchange(begun, true)) {
                limit = levada::now() + self.site_.set.header_limit;
            }
            co_await self.flush(); // nothing more to answer yet
            if (self.closing_) break;
            self.in_.shrink();
            auto next = co_await select_in_order(drains.done(), self.in_.stream().receive(), at(limit));
            if (next.index() == 0) {
                if (!begun) break;
                drains = {}; // a request that has begun may end
            } else if (next.index() == 1) {
                auto& piece = get<1>(next);
                if (!piece) break;
                self.in_.put(std::move(*piece));
            } else {
                if (begun) self.refuse(408);
                break;
            }
        }
        co_await self.flush();
        static_cast<void>(co_await self.in_.stream().shutdown_write());
        if (self.refused_) co_await self.drain();
    }

private:
    static constexpr std::size_t most_gathered = 16 << 10; // of answers to requests that came together
    static constexpr std::size_t most_copied = 4 << 10;    // of a file in memory, to go with the head
    static constexpr std::size_t small_file = 64 << 10; // kept in memory, and looked at again after a second
    static constexpr std::size_t piece_size = 64 << 10; // of a larger one
    static constexpr auto keep_alive = 60s;
    static constexpr auto write_limit = 30s; // without a byte that is taken

    void parse() {
        if (in_.peek().empty()) return;
        in_.consume(request_.parse(in_.peek()));
        if (const int status = request_.wrong(); status != 0) {
            refuse(status);
        } else if (request_.wants_continue()) {
            if (const int unwanted = wrong_method(); unwanted != 0) refuse(unwanted); // spares it the body
            else out_ += "HTTP/1.1 100 Continue\r\n\r\n";
        }
    }
    /// Answers no more, since it is not clear where the next request begins.
    void refuse(int status) {
        ++site_.all.requests;
        closing_ = refused_ = true;
        add_text(status);
    }
    [[nodiscard]] int wrong_method() const {
        if (request_.is_get() || request_.is_head()) return 0;
        for (const char* known : {"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"})
            if (request_.head().method == known) return 405;
        return 501;
    }

    void end_head() { http::end_head(out_, !closing_, request_.is_old()); }
    /// An answer whose body is its status. `fields` are lines of the head.
    void add_text(int status, std::string_view fields = {}) {
        if (status >= 400) ++site_.all.failures;
        std::string text = std::to_string(status);
        text += ' ';
        text += reason(status);
        text += '\n';
        begin_head(out_, status);
        out_ += fields;
        if (status == 405) out_ += "Allow: GET, HEAD\r\n";
        add_field(out_, "Content-Type", "text/plain; charset=utf-8");
        add_field(out_, "Content-Length", text.size());
        end_head();
        if (!request_.is_head()) out_ += text;
    }

    task<> answer() {
        ++site_.all.requests;
        if (const int status = wrong_method(); status != 0) {
            add_text(status);
            co_return;
        }
        const std::string& target = request_.head().target;
        if (target == "/api/status") {
            add_status();
            co_return;
        }
        const std::optional<std::string> path = path_of(target);
        if (!path) {
            add_text(400);
            co_return;
        }
        co_await answer_file(site_.set.root + *path);
    }
    void add_status() {
        std::string json = "{\"requests\":";
        json += std::to_string(site_.all.requests);
        json += ",\"failures\":" + std::to_string(site_.all.failures);
        json += ",\"uptime_seconds\":" + std::to_string((levada::now() - site_.all.began) / 1s);
        json += ",\"host\":\"" + request_.head().host + "\"}\n"; // there is nothing to escape in a host
        begin_head(out_, 200);
        add_field(out_, "Content-Type", "application/json");
        add_field(out_, "Content-Length", json.size());
        end_head();
        if (request_.is_get()) out_ += json;
    }

    task<> answer_file(std::string path) {
        if (const file_cache::entry kept = site_.files.find(path)) {
            co_await answer_from_memory(*kept);
            co_return;
        }
        auto opened = co_await file::open(path);
        if (!opened) {
            cannot_open(path, opened.error());
            co_return;
        }
        auto status = co_await opened->status();
        if (status && status->is_directory()) {
            redirect();
            co_return;
        }
        if (!status || !status->is_regular()) {
            add_text(404);
            co_return;
        }
        auto known = std::make_shared<known_file>(path, *status);
        if (known->size > small_file) {
            const std::optional<byte_range> bytes = add_file_head(*known);
            known.reset();
            std::string().swap(path); // a client may be slow: it holds what it needs
            if (bytes) co_await send_file(*opened, *bytes);
            co_return;
        }
        known->content.resize(static_cast<std::size_t>(known->size));
        auto n = co_await opened->read_at(0, std::span<char>(known->content));
        if (!n || *n != known->size) { // it has shrunk meanwhile
            add_text(503);
            co_return;
        }
        site_.files.keep(path, known);
        co_await answer_from_memory(*known);
    }
    void redirect() {
        if (const auto to = with_slash(request_.head().target)) add_text(301, "Location: " + *to + "\r\n");
        else add_text(404);
    }
    void cannot_open(const std::string& path, std::error_code why) {
        const bool absent = why == std::errc::no_such_file_or_directory ||
                            why == std::errc::not_a_directory || why == std::errc::filename_too_long;
        add_text(absent ? 404 : why == std::errc::permission_denied ? 403 : 503);
        if (!absent) std::fprintf(stderr, "http_server: %s: %s\n", path.c_str(), why.message().c_str());
    }
    /// Gives the bytes that have to follow, if there are any.
    std::optional<byte_range> add_file_head(const known_file& file) {
        const wanted what = what_is_wanted(request_.head(), file.etag, file.modified, file.size);
        if (what.status == 416) {
            add_text(416, "Content-Range: bytes */" + std::to_string(file.size) + "\r\n");
            return {};
        }
        begin_head(out_, what.status);
        if (what.status == 304) {
            out_.append(file.fields, 0, file.fields_without_type);
        } else {
            out_ += file.fields;
            add_field(out_, "Content-Length", what.bytes.size());
        }
        if (what.status == 206)
            add_field(out_, "Content-Range",
                      "bytes " + std::to_string(what.bytes.first) + '-' + std::to_string(what.bytes.end - 1) +
                          '/' + std::to_string(file.size));
        end_head();
        if (what.status == 304 || request_.is_head()) return {};
        return what.bytes;
    }
    task<> answer_from_memory(const known_file& file) {
        const std::optional<byte_range> bytes = add_file_head(file);
        if (!bytes) co_return;
        const auto body = std::string_view(file.content).substr(bytes->first, bytes->size());
        if (body.size() <= most_copied) {
            out_ += body;
            co_return;
        }
        if (!broken_) {
            auto written = co_await with_timeout(write_limit, in_.stream().write_all(out_, body));
            if (!written) closing_ = broken_ = true;
        }
        std::string().swap(out_);
    }

    task<> send_file(const file& from, byte_range left) {
        co_await flush();
        in_.shrink();
        while (left.size() != 0 && !broken_) {
            auto sent = co_await send_piece(from, left);
            if (sent) {
                left.first += *sent;
            } else if (sent.error() == std::errc::operation_would_block) {
                auto room = co_await with_timeout(write_limit, poll_descriptor(socket(), POLLOUT));
                if (!room) closing_ = broken_ = true;
            } else { // the length was promised: all that is left is to hang up
                closing_ = broken_ = true;
            }
        }
    }
    /// Sends what goes into the socket at once. The rest is read again when there is room: so nothing is held
    /// for a client that does not read, and there may be many.
    task<result<std::size_t>> send_piece(const file& from, byte_range left) {
        const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(piece_size, left.size()));
        const std::unique_ptr<char[]> piece(new char[size]);
        auto n = co_await from.read_at(left.first, std::span<char>(piece.get(), size));
        if (!n) co_return fail(n.error());
        if (*n == 0) co_return fail(std::make_error_code(std::errc::io_error)); // it has shrunk
        const ssize_t sent = ::send(socket(), piece.get(), *n, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0) co_return fail(std::error_code(errno, std::system_category()));
        co_return static_cast<std::size_t>(sent);
    }
    [[nodiscard]] int socket() noexcept { return in_.stream().native_handle(); }

    task<> flush() {
        if (out_.empty()) co_return;
        if (!broken_) {
            auto written = co_await with_timeout(write_limit, in_.stream().write_all(out_));
            if (!written) closing_ = broken_ = true; // it has gone, or does not read
        }
        std::string().swap(out_); // idle connections hold little
    }
    // A client that still sends would be reset, and lose the answer, if the connection was closed at once.
    task<> drain() {
        const time_point limit = levada::now() + 1s;
        for (std::size_t n = 0; n < most_body_bytes;) {
            auto more = co_await with_deadline(limit, in_.stream().receive());
            if (!more) co_return;
            n += more->size();
        }
    }

    site& site_;
    buffered<tcp_stream> in_;
    request request_;
    std::string out_;
    bool closing_ = false; // after the answer
    bool broken_ = false;  // nothing can be written any more
    bool refused_ = false;
};

} // namespace http
