/* A lock that one thread takes for next to nothing, and visitors now and then: src/util/owner_lock.hpp.
 *
 * The owner has a store buffer as x86 has it. Two visitors come.
 * Shown: nobody is at the data beside the owner or a visitor, and the owner gets in again.
 * NO_BARRIER and NO_LOOK leave out what makes it so.
 */

byte inside;                 /* as memory has it */
chan buffer = [4] of {byte}; /* the owner's stores to it that are on their way */
byte visited;
bool visitors; /* the lock among them, which the owner takes to wait */
byte at_data;
byte times; /* that the owner was in */

inline enter_data() {
    at_data++;
    assert(at_data == 1);
    at_data--
}

active proctype memory() {
end:
    do
    :: atomic { buffer?inside }
    od
}

active proctype owner() {
    do
    :: times < 2 ->
        buffer!1;
#ifndef NO_LOOK
        do
        :: visited != 0 ->
            buffer!0;
            atomic { !visitors && empty(buffer) -> visitors = true } /* an exchange: it empties the buffer */
            visitors = false;
            buffer!1
        :: else -> break
        od;
#endif
        enter_data();
        buffer!0;
        times++
    :: else -> break
    od
}

proctype visitor() {
    atomic { !visitors -> visitors = true }
    visited = 1;
#ifndef NO_BARRIER
    atomic {
        do
        :: nempty(buffer) -> buffer?inside
        :: empty(buffer) -> break
        od
    }
#endif
    inside == 0;
    enter_data();
    visited = 0;
    visitors = false
}

init {
    atomic { run visitor(); run visitor() }
}
