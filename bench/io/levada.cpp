// The cases as one writes them with levada: io_levada CASE COUNT FILE, or io_levada accept PORT.

#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <string_view>

#include <levada/levada.hpp>

#include "common.h"

using namespace levada;
using namespace std::chrono_literals;

namespace {

enum class limit { none, timeout, select };

template <class T>
void expect_made(const result<T>& made, const char* what) {
    if (made) return;
    std::fprintf(stderr, "%s: %s\n", what, made.error().message().c_str());
    std::exit(1);
}

std::int64_t answer(const result<std::size_t>& n) {
    return n ? static_cast<std::int64_t>(*n) : -n.error().value();
}

task<> read_pages(const file& f, std::uint64_t pages, std::uint64_t random, long count, limit how) {
    std::array<char, page_size> buffer;
    for (; count > 0; --count) {
        const std::uint64_t page = next_page(&random, pages);
        result<std::size_t> n = 0;
        if (how == limit::timeout) n = co_await with_timeout(1s, f.read_at(page * page_size, buffer));
        else n = co_await f.read_at(page * page_size, buffer);
        expect(answer(n), page_size, "read_at");
        expect_number(buffer.data(), page);
    }
}

task<> read_file_pages(std::string path, long count, int depth, limit how) {
    auto f = co_await file::open(path);
    expect_made(f, path.c_str());
    const auto size = co_await or_throw(f->size());
    const moment begin = this_moment();
    co_await with_group([&](task_group& g) -> task<> {
        for (int i = 0; i < depth; ++i)
            g.go(read_pages, std::cref(*f), size / page_size, static_cast<std::uint64_t>(i + 1),
                 count / depth, how);
        co_return;
    });
    print_since(begin);
}

task<> pass_messages(unix_stream& end, std::uint64_t number, long count, limit how) {
    std::array<char, message_size> message{};
    const std::string_view bytes(message.data(), message.size());
    for (; count > 0; --count, number += 2) {
        result<std::size_t> n = 0;
        if (how == limit::select) {
            auto s = co_await select(end.read(message), after(1s));
            expect(static_cast<std::int64_t>(s.index()), 0, "select");
            n = get<0>(s);
        } else if (how == limit::timeout) {
            n = co_await with_timeout(1s, end.read(message));
        } else {
            n = co_await end.read(message);
        }
        expect(answer(n), message_size, "read");
        expect_number(message.data(), number);
        set_number(message.data(), number + 1);
        n = co_await end.write_all(bytes);
        expect(answer(n), message_size, "write_all");
    }
}

task<> pass_all_messages(long count, limit how) {
    auto made = unix_stream::pair();
    expect_made(made, "pair");
    auto& [a, b] = *made;
    const moment begin = this_moment();
    const std::array<char, message_size> first{};
    co_await or_throw(a.write_all(std::string_view(first.data(), first.size())));
    co_await with_group([&](task_group& g) -> task<> {
        g.go(pass_messages, std::ref(b), std::uint64_t(0), count / 2, how);
        g.go(pass_messages, std::ref(a), std::uint64_t(1), count / 2, how);
        co_return;
    });
    print_since(begin);
}

task<> accept_all(std::string port) {
    auto listener = tcp_listener::bind("127.0.0.1:" + port);
    expect_made(listener, "bind");
    say_listening();
    for (;;) {
        auto client = co_await listener->accept(); // closed at once
        expect_made(client, "accept");
    }
}

} // namespace

int main(int argc, char** argv) {
    const std::string_view what = argc > 2 ? argv[1] : "";
    const long count = argc > 2 ? std::atol(argv[2]) : 0;
    const std::string path = argc > 3 ? argv[3] : "";
    if (what == "read") return run(read_file_pages, path, count, 1, limit::none);
    if (what == "read-32") return run(read_file_pages, path, count, 32, limit::none);
    if (what == "read-timeout") return run(read_file_pages, path, count, 1, limit::timeout);
    if (what == "message") return run(pass_all_messages, count, limit::none);
    if (what == "message-timeout") return run(pass_all_messages, count, limit::timeout);
    if (what == "message-select") return run(pass_all_messages, count, limit::select);
    if (what == "accept") return run(accept_all, std::string(argv[2]));
    std::fprintf(
        stderr,
        "Usage: io_levada read|read-32|read-timeout|message|message-timeout|message-select COUNT FILE, "
        "or accept PORT\n");
    return 2;
}
