// A store of keys and values that speaks Redis's protocol. Each shard belongs to one task, which is reached
// by a channel, so that nothing is locked; publishing goes through a task of its own. The rooms are in kv/.

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <exception>
#include <utility>

#include <levada/levada.hpp>

#include "kv/hub.hpp"
#include "kv/keep_shard.hpp"
#include "kv/session.hpp"
#include "kv/store.hpp"
#include "server.hpp"

using namespace levada;

namespace {

constexpr const char* usage =
    R"(Usage: kv_server --port N [--host A] [--shards N] [--patience SECONDS] [--drain SECONDS] [--gone SECONDS]

Keeps keys and values in memory, for clients of Redis, in RESP2 and RESP3:

  GET SET SETNX SETEX PSETEX GETSET GETDEL GETEX STRLEN APPEND TYPE MGET MSET MSETNX DEL UNLINK EXISTS
  INCR INCRBY DECR DECRBY EXPIRE PEXPIRE EXPIREAT PEXPIREAT TTL PTTL EXPIRETIME PEXPIRETIME PERSIST
  KEYS SCAN DBSIZE FLUSHALL FLUSHDB MULTI EXEC DISCARD
  SUBSCRIBE UNSUBSCRIBE PSUBSCRIBE PUNSUBSCRIBE PUBLISH
  PING ECHO HELLO QUIT SELECT INFO CLIENT CONFIG COMMAND

A transaction is for keys of one shard: those with the same {tag} in them, or any, if there is one shard. Prints
"listening on HOST:PORT" once it listens.

  --port N             where to listen; 0 lets the system choose
  --host A             an IPv4 or IPv6 address (127.0.0.1)
  --shards N           tasks that share the keys, 1 to 64 (1)
  --patience SECONDS   after how long a client that takes no byte of what is sent to it is disconnected: one that
                       does not read its replies, or a subscriber with 8 MB to come, for which publishers wait (10)
  --drain SECONDS      how long commands that have begun may take at the end (5)
  --gone SECONDS       after how long a client that answers nothing at all is taken for gone (60)
  --help               print this, and exit

Ctrl-C (or SIGTERM) drains: it accepts no more, answers what has been read, prints a summary, and exits.

Exit status: 0 stopped by a signal; 1 it could not listen; 2 bad arguments.
)";

task<int> serve(server::settings set, unsigned shards, std::chrono::seconds patience) {
    auto signals = signal_channel({SIGINT, SIGTERM});
    auto listener = server::listen(set);
    if (!listener) co_return 1;
    kv::store all;
    all.patience = patience;
    kv::hub hub;
    server::outcome end;
    co_await with_group([&](task_group& keepers) -> task<> {
        for (unsigned i = 0; i < shards; ++i) {
            all.shards.emplace_back(16);
            keepers.go(kv::keep_shard, all.shards.back(), i, shards);
        }
        keepers.go(&kv::hub::run, &hub, recv_channel<kv::hub_request>(all.hub));
        auto serve_one = [&all](tcp_stream client, cancel_token draining) {
            return kv::session::serve(all, std::move(client), std::move(draining));
        };
        end = co_await server::serve(set, std::move(*listener), signals, serve_one);
        for (auto& s : all.shards) s.close();
        all.hub.close();
    });
    std::printf("served %llu connections, cut off %zu\n", static_cast<unsigned long long>(end.connections),
                end.cut_off);
    co_return 0;
}

} // namespace

int main(int argc, char** argv) try {
    server::settings set;
    set.program = "kv_server";
    unsigned shards = 1;
    std::chrono::seconds patience(10);
    const auto set_shards = [&shards](const char* text) {
        const auto n = server::number(text, kv::most_shards);
        if (n && *n != 0) shards = *n;
        return n && *n != 0;
    };
    if (const auto status = server::read_options(
            set, argc, argv, usage,
            {{"shards", "a number from 1 to 64", set_shards}, server::patience_option(patience)}))
        return *status;
    return levada::run(serve, std::move(set), shards, patience);
} catch (const std::exception& e) { // no io_uring here, or no memory
    std::fprintf(stderr, "kv_server: %s\n", e.what());
    return 1;
}
