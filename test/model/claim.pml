/* One select over two channels, a sender on each, a close of one, and a cancel, all at once: the claim of
 * detail/engine/waiter.hpp, as src/engine/doors.cpp and detail/channel/channel_state.hpp use it.
 *
 * Any of them may be missing. Shown: exactly one of them decides how the select ends; a value is received once or is still its sender's; the
 * select's task is made ready exactly once; nobody sleeps for ever; locks taken in order do not deadlock.
 *
 * Left out: a second receiver, buffers, and the memory orders (every step here is sequentially consistent, as the
 * code's are where it says so).
 */

mtype = { running, arming, parked, claimed, cancelled };

mtype word = running; /* of the select's task */
byte winner;          /* the arm */
bool marked;          /* its token was cancelled */
bool locked[2];       /* the channels' locks */
bool linked[2];       /* the select's arm stands in the channel's queue of receivers */
bool waiting[2];      /* the channel's sender stands in its queue of senders */
bool closed[2];
bool taken[2];        /* the sender's value has moved */
bool told[2];         /* the sender was told that the channel is closed; the value is its own */
byte got;             /* values that the select received */
bool got_closed;      /* or that it is closed */
byte ready;           /* how often its task stands in a run queue */
bool returned, unwound;

inline acquire(c) { atomic { !locked[c] -> locked[c] = true } }
inline release(c) { locked[c] = false }

/* waiter::claim: gives 0 lost, 1 won, 2 won early: then the task posts itself. One atomic exchange. */
inline claim(arm, won) {
    atomic {
        if
        :: word == parked -> word = claimed; winner = arm; won = 1
        :: word == arming -> word = claimed; winner = arm; won = 2
        :: else -> won = 0
        fi
    }
}

proctype sender(byte c) {
    byte won = 0;
    acquire(c);
    if
    :: closed[c] -> told[c] = true
    :: !closed[c] && linked[c] ->
        linked[c] = false; /* popped: a ghost, if the claim is lost */
        claim(c, won);
        if
        :: won != 0 -> taken[c] = true; got++
        :: else -> waiting[c] = true
        fi
    :: else -> waiting[c] = true
    fi;
    release(c);
    if
    :: won == 1 -> ready++ /* posted after the lock is let go */
    :: else
    fi
}

proctype closer(byte c) {
    byte won = 0;
    acquire(c);
    closed[c] = true;
    if
    :: linked[c] -> linked[c] = false; claim(c, won); if :: won != 0 -> got_closed = true :: else fi
    :: else
    fi;
    if
    :: waiting[c] -> waiting[c] = false; told[c] = true
    :: else
    fi;
    release(c);
    if
    :: won == 1 -> ready++
    :: else
    fi
}

proctype canceller() {
    byte won = 0;
    marked = true;
    atomic { /* task_node::cancel_park */
        if
        :: word == parked -> word = cancelled; won = 1
        :: word == arming -> word = cancelled; won = 2
        :: else
        fi
    }
    if
    :: won == 1 -> ready++
    :: else
    fi
}

/* With the channel's lock held: try_commit. */
inline try_commit(c, done) {
    if
    :: waiting[c] -> waiting[c] = false; taken[c] = true; got++; done = true
    :: !waiting[c] && closed[c] -> got_closed = true; done = true
    :: else
    fi
}

proctype selector() {
    bool done = false;
    byte first;
    if /* a random order */
    :: first = 0
    :: first = 1
    fi;
    if
    :: marked -> unwound = true; goto end
    :: else
    fi;
    /* First pass: one lock at a time. */
    acquire(first); try_commit(first, done); release(first);
    if
    :: done -> returned = true; goto end
    :: else
    fi;
    acquire(1 - first); try_commit(1 - first, done); release(1 - first);
    if
    :: done -> returned = true; goto end
    :: else
    fi;
    /* To park: both locks, in the order of their addresses, until the park is published. */
    acquire(0);
    acquire(1);
    try_commit(first, done);
    if
    :: !done -> try_commit(1 - first, done)
    :: else
    fi;
    if
    :: done -> release(1); release(0); returned = true; goto end
    :: else
    fi;
    word = arming;
    linked[first] = true;
    linked[1 - first] = true;
    if
    :: marked -> atomic { if :: word == arming -> word = cancelled :: else fi }
    :: else
    fi;
    atomic { /* publish, or post oneself */
        if
        :: word == arming -> word = parked
        :: else -> ready++
        fi
    }
    release(1);
    release(0);

    /* control::run, once somebody has made it ready */
end_parked: /* a valid end, if nothing can wake it */
    atomic { ready > 0 -> ready-- }
    assert(word == claimed || word == cancelled);
    if
    :: word == claimed -> /* settle: the loser is unlinked */
        acquire(1 - winner); linked[1 - winner] = false; release(1 - winner);
        returned = true
    :: word == cancelled -> /* withdraw */
        acquire(0); linked[0] = false; release(0);
        acquire(1); linked[1] = false; release(1);
        unwound = true
    fi;
end:
    skip
}

init {
    atomic { /* any of them, or none */
        run selector();
        if :: run sender(0) :: skip fi;
        if :: run sender(1) :: skip fi;
        if :: run closer(1) :: skip fi;
        if :: run canceller() :: skip fi
    }
    timeout; /* nothing moves any more */
    if
    :: returned || unwound ->
        assert(returned != unwound);
        assert(!linked[0] && !linked[1]); /* nothing is left in a queue of what has gone */
        assert(returned -> got + got_closed == 1 : got + got_closed == 0) /* completed xor cancelled */
    :: else ->
        assert(word == parked);
        assert(!waiting[0] && !waiting[1] && !closed[1] && !marked); /* nobody sleeps though it could go on */
        assert(got == 0 && !got_closed)
    fi;
    assert(ready == 0);               /* made ready once, no more */
    assert(got == taken[0] + taken[1]); /* no value was lost or doubled */
    assert(taken[0] + waiting[0] + told[0] <= 1 && taken[1] + waiting[1] + told[1] <= 1)
}
