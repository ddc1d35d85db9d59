"""A client of kv_server by redis-py: redis_py.py PORT. Prints "ok", or fails at the first wrong reply."""

import sys

import redis


def commands(r):
    assert r.ping() and r.set("py:a", "1")
    assert [r.incr("py:a"), r.incr("py:a", 5), r.decr("py:a", 2)] == [2, 7, 5]  # INCRBY, DECRBY
    assert r.setex("py:b", 10, "x") and r.ttl("py:b") == 10 and r.pttl("py:b") > 9000
    assert r.persist("py:b") and r.ttl("py:b") == -1 and r.getex("py:b", ex=5) == "x"
    assert r.getdel("py:b") == "x" and r.get("py:b") is None
    assert r.set("py:k", "v", ex=100, get=True) is None and r.set("py:k", "w", keepttl=True) and r.ttl("py:k") == 100
    assert r.append("py:s", "abc") == 3 and r.strlen("py:s") == 3 and r.type("py:s") == "string"
    assert r.mset({"py:m": 1, "py:n": 2}) and r.mget("py:m", "none", "py:n") == ["1", None, "2"]
    assert r.setnx("py:m", 5) is False and r.expire("py:m", 9_000_000_000) and r.exists("py:m", "none") == 1
    assert sorted(r.scan_iter("py:*")) == sorted(r.keys("py:*")) and r.dbsize() >= 5
    assert r.client_setname("me") and r.client_getname() == "me" and r.client_id() > 0
    assert r.config_get("save") == {"save": ""} and r.config_set("save", "") and r.info()["redis_version"]


def transactions(r):
    p = r.pipeline()  # MULTI and EXEC
    p.set("py:x", 1)
    p.incr("py:x")
    p.publish("nobody", "m")
    assert p.execute() == [True, 2, 0]
    p = r.pipeline(transaction=False)
    for _ in range(1000):
        p.incr("py:count")
    assert p.execute() == list(range(1, 1001))


def subscriptions(r):
    s = r.pubsub()
    s.subscribe("py:c")
    s.psubscribe("py:*")

    def heard(count):
        messages = [s.get_message(timeout=30) for _ in range(count)]
        return [(m["type"], m["channel"], m["data"]) for m in messages]

    assert heard(2) == [("subscribe", "py:c", 1), ("psubscribe", "py:*", 2)]
    assert r.publish("py:c", "hello") == 2
    assert heard(2) == [("message", "py:c", "hello"), ("pmessage", "py:c", "hello")]
    s.ping()
    assert s.get_message(timeout=30)["type"] == "pong"
    s.unsubscribe()
    s.punsubscribe()
    assert heard(2) == [("unsubscribe", "py:c", 1), ("punsubscribe", "py:*", 0)]
    s.close()


r = redis.Redis(port=int(sys.argv[1]), decode_responses=True)
commands(r)
transactions(r)
subscriptions(r)
r.close()
print("ok")
