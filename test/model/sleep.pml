/* How loops that work together sleep and wake each other: src/loop/loop_group.hpp, invariant 2.
 *
 * * One loop or two share a task each, with nobody else to run it here, while two others look for work and go to sleep.
 * Shown: no shared task is left while a loop sleeps that could take it.
 */

#define loops 2

byte shared[2];        /* tasks on the lists of those who share */
bool asleep[loops];    /* stands in sleepers_ */
byte idle;             /* its size */
byte searching;
bool nudged[loops];    /* the sleeper was taken out, and is woken */
byte ran;

/* event_loop::lend, then loop_group::work_offered */
proctype sharer(byte me) {
    byte i;
    shared[me]++;
    if
    :: idle == 0 -> goto end /* two loads, one after the other */
    :: else
    fi;
    if
    :: searching != 0 -> goto end
    :: else
    fi;
    atomic { /* idle_lock_ */
        i = loops;
        if
        :: asleep[0] -> i = 0
        :: asleep[1] -> i = 1
        :: else
        fi;
        if
        :: i < loops -> asleep[i] = false; idle--; searching++
        :: else
        fi
    }
    if
    :: i < loops -> nudged[i] = true
    :: else
    fi;
end:
    skip
}

/* work_offered as called by a loop that found some work, and sees that there is more. */
inline pass_on(me) {
    if
    :: shared[0] + shared[1] > 0 && idle > 0 && searching == 0 ->
        atomic {
            if
            :: asleep[1 - me] -> asleep[1 - me] = false; idle--; searching++; nudged[1 - me] = true
            :: else
            fi
        }
    :: else
    fi
}

/* event_loop::turn with nothing of its own to do: search, then sleep */
proctype looker(byte me) {
    bool found;
look:
    found = false;
    atomic { if :: shared[0] > 0 -> shared[0]--; found = true :: else fi } /* let_steal, under the list's lock */
    if
    :: !found -> atomic { if :: shared[1] > 0 -> shared[1]--; found = true :: else fi }
    :: else
    fi;
    if
    :: found -> ran++; pass_on(me); goto look
    :: else
    fi;
    atomic { asleep[me] = true; idle++ } /* goes_idle */
    if
    :: shared[0] > 0 || shared[1] > 0 -> goto awake /* looks at all sizes once more */
    :: else
    fi;
end_sleep: /* asleep: a valid end, if nothing is shared */
    nudged[me] -> nudged[me] = false;
awake:
    atomic { /* woke_up */
        if
        :: asleep[me] -> asleep[me] = false; idle--
        :: else -> searching--
        fi
    }
    nudged[me] = false;
    goto look
}

init {
    atomic {
        run looker(0);
        run looker(1);
        run sharer(0);
        if :: run sharer(1) :: skip fi
    }
    timeout; /* nothing moves any more */
    assert(shared[0] + shared[1] == 0);
    assert(idle == loops && searching == 0)
}
