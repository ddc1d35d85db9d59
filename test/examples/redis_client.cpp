// A client of kv_server by hiredis: redis_client PORT. Exits with 1, and says why, at the first wrong reply.

#include <hiredis/hiredis.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

namespace {

using reply = std::unique_ptr<redisReply, decltype(&freeReplyObject)>;

reply got(void* r) { return {static_cast<redisReply*>(r), &freeReplyObject}; }

void expect(bool right, const char* what) {
    if (right) return;
    std::fprintf(stderr, "redis_client: %s\n", what);
    std::exit(1);
}

} // namespace

int main(int argc, char** argv) {
    expect(argc == 2, "Usage: redis_client PORT");
    const timeval patience{30, 0};
    redisContext* const c = redisConnectWithTimeout("127.0.0.1", std::atoi(argv[1]), patience);
    expect(c && c->err == 0, "cannot connect");
    redisSetTimeout(c, patience);
    const std::string binary("with\0zero\r\n", 11);
    expect(got(redisCommand(c, "SET %s %b", "key", binary.data(), binary.size()))->type == REDIS_REPLY_STATUS,
           "SET");
    const reply value = got(redisCommand(c, "GET key"));
    expect(value->type == REDIS_REPLY_STRING && std::string(value->str, value->len) == binary,
           "GET of binary");
    expect(got(redisCommand(c, "GET none"))->type == REDIS_REPLY_NIL, "GET of nothing");
    expect(got(redisCommand(c, "INCR key"))->type == REDIS_REPLY_ERROR, "INCR of no number");
    constexpr int many = 1000; // in one go
    for (int i = 0; i < many; ++i) redisAppendCommand(c, "INCR counter:%d", i % 7);
    for (int i = 0; i < many; ++i) {
        void* r = nullptr;
        expect(redisGetReply(c, &r) == REDIS_OK, "a reply of a pipeline");
        expect(got(r)->integer == i / 7 + 1, "INCR in a pipeline");
    }
    const reply all = got(redisCommand(c, "MGET counter:0 none counter:6"));
    expect(all->type == REDIS_REPLY_ARRAY && all->elements == 3 &&
               std::string(all->element[0]->str) == "143" && all->element[1]->type == REDIS_REPLY_NIL &&
               std::string(all->element[2]->str) == "142",
           "MGET");
    redisFree(c);
}
