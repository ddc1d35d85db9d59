#pragma once

// The task that owns a shard. Others reach it by a channel, so nothing is locked.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <new>
#include <string>
#include <vector>

#include <levada/levada.hpp>

#include "../resp.hpp"
#include "shard.hpp"
#include "text.hpp"

namespace kv {

/// Commands for one shard, and their replies. It lies in the session, which waits until they are done.
struct request {
    struct step {
        shard::command what = nullptr;
        arguments words;
        std::string reply; // empty if there was no memory for it
    };
    std::vector<step> steps; // the first `count` of them; the others' memory is kept
    std::size_t count = 0;
    std::size_t done = 0; // so many have replies
    bool asked = false;
    bool undivided = false; // all at once, however long the replies are
    resp::version version = resp::version::resp2;
    levada::channel<void> answered = levada::nil;

    template <class I>
    void put(shard::command what, I from, I to) {
        if (count == steps.size()) steps.emplace_back();
        steps[count].words.assign(from, to);
        steps[count++].what = what;
    }
};

/// Does what is left of a request, as far as the replies are of a bearable size: the session sends them, and
/// comes again.
inline void execute(shard& on, request& r) {
    constexpr std::size_t most_bytes = 1 << 20;
    on.set_version(r.version);
    for (std::size_t bytes = 0; r.done < r.count && (r.undivided || bytes < most_bytes);) {
        request::step& s = r.steps[r.done++];
        try {
            (on.*s.what)(s.words, s.reply);
        } catch (const std::bad_alloc&) {
            s.reply.clear();
        }
        bytes += s.reply.size();
    }
}

inline std::int64_t unix_time() {
    using namespace std::chrono;
    return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

inline levada::task<> keep_shard(levada::recv_channel<request*> in, std::size_t number, std::size_t of_all) {
    shard keys(number, of_all);
    const auto serve = [&keys](request& r) {
        keys.set_time(unix_time());
        execute(keys, r);
        static_cast<void>(r.answered.try_send());
    };
    const auto ticks = levada::ticker(std::chrono::milliseconds(100));
    for (;;) {
        auto next = co_await levada::select_in_order(in.recv(), ticks.recv());
        if (next.index() == 0) {
            if (!get<0>(next)) co_return;
            serve(**get<0>(next));
            continue;
        }
        keys.set_time(unix_time());
        while (keys.sweep()) { // who asks meanwhile is served between two steps
            co_await levada::this_task::yield();
            while (auto r = in.try_recv()) serve(**r);
        }
    }
}

} // namespace kv
