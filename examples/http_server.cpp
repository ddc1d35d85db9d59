// A server of static files, and a route that answers JSON. HTTP/1.1 with keep-alive and pipelining;
// http_parser does the parsing.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <levada/levada.hpp>

#include "http_request.hpp"
#include "server.hpp"

using namespace levada;
using namespace std::chrono_literals;
using http::path_of;
using http::request;

namespace {

constexpr const char* usage =
    R"(Usage: http_server --root DIR --port N [--host A] [--drain SECONDS] [--gone SECONDS]
                   [--header-timeout SECONDS]

Serves the files below DIR by HTTP/1.1; a directory by its index.html. GET /api/status answers JSON. Prints
"listening on HOST:PORT" once it listens.

  --root DIR                what to serve
  --port N                  where to listen; 0 lets the system choose
  --host A                  an IPv4 or IPv6 address (127.0.0.1)
  --drain SECONDS           how long requests that have begun may take at the end (5)
  --gone SECONDS            after how long a client that answers nothing at all is taken for gone (60)
  --header-timeout SECONDS  how long a client may take to send a request (10)
  --help                    print this, and exit

Ctrl-C (or SIGTERM) drains: it accepts no more, answers the requests that it has, prints a summary, and exits.

Exit status: 0 stopped by a signal; 1 it could not listen; 2 bad arguments.
)";

constexpr std::size_t most_gathered = 64 << 10; // replies to pipelined requests that go in one write
constexpr std::size_t small_file = 64 << 10;    // kept in memory, and looked at again after a second
constexpr std::size_t most_kept_files = 1024;
constexpr auto keep_alive = 60s;
constexpr auto write_limit = 30s;

struct totals {
    std::atomic<std::uint64_t> requests = 0; // sessions run on all cores
    std::atomic<std::uint64_t> failures = 0; // answered by 4xx or 5xx
    time_point began = levada::now();
};

struct configuration {
    std::string root;
    std::chrono::seconds header_limit = 10s;
};

std::string_view reason(int status) { return http_status_str(static_cast<http_status>(status)); }

std::string_view type_of(std::string_view path) {
    static constexpr std::pair<std::string_view, std::string_view> types[] = {
        {".html", "text/html; charset=utf-8"},
        {".txt", "text/plain; charset=utf-8"},
        {".css", "text/css"},
        {".js", "text/javascript"},
        {".json", "application/json"},
        {".svg", "image/svg+xml"},
        {".png", "image/png"},
        {".jpg", "image/jpeg"},
        {".wasm", "application/wasm"},
        {".pdf", "application/pdf"},
    };
    for (const auto& [ending, type] : types)
        if (path.ends_with(ending)) return type;
    return "application/octet-stream";
}

void add_head(std::string& out, int status, std::string_view type, std::uint64_t length, bool keeps_alive) {
    out += "HTTP/1.1 ";
    out += std::to_string(status);
    out += ' ';
    out += reason(status);
    out += "\r\nServer: levada\r\nContent-Type: ";
    out += type;
    out += "\r\nContent-Length: ";
    out += std::to_string(length);
    if (status == 405) out += "\r\nAllow: GET, HEAD";
    out += keeps_alive ? "\r\n\r\n" : "\r\nConnection: close\r\n\r\n";
}

/// Small files, as they were within the last second. One for each session's loop would do without the lock;
/// it is held for a look-up.
class file_cache {
public:
    using bytes = std::shared_ptr<const std::string>;

    bytes find(const std::string& path) {
        const std::lock_guard guard(mutex_);
        const auto at = files_.find(path);
        if (at == files_.end() || at->second.until < levada::now()) return nullptr;
        return at->second.content;
    }
    void keep(const std::string& path, bytes content) {
        const std::lock_guard guard(mutex_);
        if (files_.size() >= most_kept_files) files_.clear();
        files_[path] = {std::move(content), levada::now() + 1s};
    }

private:
    struct entry {
        bytes content;
        time_point until;
    };
    std::mutex mutex_; // guards the map
    std::unordered_map<std::string, entry> files_;
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
            if (!self.in_.peek().empty()) {
                self.in_.consume(self.request_.parse(self.in_.peek()));
                if (const int status = self.request_.wrong(); status != 0) {
                    self.refuse(status);
                    break;
                }
            }
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
    void refuse(int status) {
        ++site_.all.requests;
        closing_ = refused_ = true;
        add_error(status);
    }
    void add_error(int status) {
        ++site_.all.failures;
        std::string text = std::to_string(status);
        text += ' ';
        text += reason(status);
        text += '\n';
        add_head(out_, status, "text/plain; charset=utf-8", text.size(), !closing_);
        if (!request_.is_head() || refused_) out_ += text;
    }

    task<> answer() {
        ++site_.all.requests;
        if (!request_.is_get() && !request_.is_head()) {
            add_error(405);
            co_return;
        }
        if (request_.target() == "/api/status") {
            std::string json = "{\"requests\":";
            json += std::to_string(site_.all.requests);
            json += ",\"failures\":" + std::to_string(site_.all.failures);
            json += ",\"uptime_seconds\":" + std::to_string((levada::now() - site_.all.began) / 1s) + "}\n";
            add_head(out_, 200, "application/json", json.size(), !closing_);
            if (!request_.is_head()) out_ += json;
            co_return;
        }
        const std::optional<std::string> path = path_of(request_.target());
        if (!path) {
            add_error(400);
            co_return;
        }
        co_await answer_file(site_.set.root + *path);
    }
    task<> answer_file(std::string path) {
        if (const file_cache::bytes kept = site_.files.find(path)) {
            add_head(out_, 200, type_of(path), kept->size(), !closing_);
            if (!request_.is_head()) out_ += *kept;
            co_return;
        }
        auto opened = co_await file::open(path);
        if (!opened) {
            const auto why = opened.error();
            const bool absent = why == std::errc::no_such_file_or_directory ||
                                why == std::errc::not_a_directory || why == std::errc::filename_too_long;
            add_error(absent ? 404 : why == std::errc::permission_denied ? 403 : 503);
            if (!absent) std::fprintf(stderr, "http_server: %s: %s\n", path.c_str(), why.message().c_str());
            co_return;
        }
        auto known = co_await opened->status();
        if (!known || !known->is_regular()) {
            add_error(404);
            co_return;
        }
        const std::uint64_t size = known->size();
        if (size > small_file) {
            add_head(out_, 200, type_of(path), size, !closing_);
            if (!request_.is_head()) co_await send_file(*opened, size);
            co_return;
        }
        auto content = std::make_shared<std::string>(static_cast<std::size_t>(size), '\0');
        auto n = co_await opened->read_at(0, std::span<char>(*content));
        if (!n || *n != size) { // it has shrunk meanwhile
            add_error(503);
            co_return;
        }
        add_head(out_, 200, type_of(path), size, !closing_);
        if (!request_.is_head()) out_ += *content;
        site_.files.keep(path, std::move(content));
    }
    task<> send_file(const file& from, std::uint64_t size) {
        std::vector<char> piece(std::size_t(256) << 10);
        co_await flush();
        for (std::uint64_t at = 0; at < size && !broken_;) {
            const auto want = static_cast<std::size_t>(std::min<std::uint64_t>(piece.size(), size - at));
            auto n = co_await from.read_at(at, std::span<char>(piece.data(), want));
            if (!n || *n == 0) { // the length was promised: all that is left is to hang up
                closing_ = broken_ = true;
                co_return;
            }
            co_await write(std::string_view(piece.data(), *n));
            at += *n;
        }
    }
    task<> flush() {
        if (out_.empty()) co_return;
        co_await write(out_);
        std::string().swap(out_); // idle connections hold little
    }
    task<> write(std::string_view bytes) {
        if (broken_) co_return;
        auto written = co_await with_timeout(write_limit, in_.stream().write_all(bytes));
        if (!written) closing_ = broken_ = true; // it has gone, or does not read
    }
    // A client that still sends would be reset, and lose the answer, if the connection was closed at once.
    task<> drain() {
        const time_point limit = levada::now() + 1s;
        for (std::size_t n = 0; n < http::most_body_bytes;) {
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

task<int> serve(server::settings set, configuration config) {
    auto signals = signal_channel({SIGINT, SIGTERM});
    auto listener = server::listen(set);
    if (!listener) co_return 1;
    site s{std::move(config), {}, {}};
    auto serve_one = [&s](tcp_stream client, cancel_token draining) {
        return session::serve(s, std::move(client), std::move(draining));
    };
    const server::outcome end = co_await server::serve(set, std::move(*listener), signals, serve_one);
    std::printf("served %llu requests on %llu connections, refused %llu, cut off %zu\n",
                static_cast<unsigned long long>(s.all.requests),
                static_cast<unsigned long long>(end.connections),
                static_cast<unsigned long long>(s.all.failures), end.cut_off);
    co_return 0;
}

} // namespace

int main(int argc, char** argv) try {
    server::settings set;
    set.program = "http_server";
    configuration config;
    const auto set_root = [&config](const char* text) {
        config.root = text;
        return std::filesystem::is_directory(config.root);
    };
    const auto set_limit = [&config](const char* text) {
        const auto n = server::number(text, 3600);
        if (n) config.header_limit = std::chrono::seconds(*n);
        return n.has_value();
    };
    if (const auto status =
            server::read_options(set, argc, argv, usage,
                                 {{"root", "a directory", set_root},
                                  {"header-timeout", "a number of seconds from 0 to 3600", set_limit}}))
        return *status;
    if (config.root.empty()) {
        std::fprintf(stderr, "http_server: which files? Give a directory, as in: --root .\n");
        return 2;
    }
    return levada::run(serve, std::move(set), std::move(config));
} catch (const std::exception& e) { // no io_uring here, or no memory
    std::fprintf(stderr, "http_server: %s\n", e.what());
    return 1;
}
