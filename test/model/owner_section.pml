/* Sections of one owner, and how others end its ownership: include/levada/detail/util/owner_section.hpp.
 *
 * The owner works in sections, with a store buffer as x86 has it: its stores become visible later, in order. Two others
 * come, of whom one ends the ownership; then everybody takes the lock.
 * Shown: nobody is at the data beside the owner's section, or beside another's lock; and no lock is waited for in one.
 * NO_BARRIER, NO_LOOK and NO_WAIT leave out what makes it so.
 */

#define owned 1
#define ending 2
#define ended 3

byte state = owned;
byte inside;                 /* as memory has it */
chan buffer = [4] of {byte}; /* the owner's stores to it that are on their way */
bool locked;
byte at_data;

inline enter_data() {
    at_data++;
    assert(at_data == 1);
    at_data--
}

inline by_lock() {
    atomic { !locked -> locked = true }
    enter_data();
    locked = false
}

active proctype memory() {
end:
    do
    :: atomic { buffer?inside }
    od
}

active proctype owner() {
    byte n;
    do
    :: n < 3 ->
        n++;
        buffer!1;
        if
#ifndef NO_LOOK
        :: state != owned -> buffer!0; by_lock()
        :: else ->
#else
        :: true ->
#endif
            enter_data();
            enter_data(); /* and one within it, which asks nothing */
            buffer!0
        fi
    :: n == 3 -> break
    od
}

proctype other() {
    bool ends;
    atomic {
        if
        :: state == owned -> state = ending; ends = true
        :: else
        fi
    }
    if
    :: ends ->
#ifndef NO_BARRIER
        atomic {
            do
            :: nempty(buffer) -> buffer?inside
            :: empty(buffer) -> break
            od
        }
#endif
#ifndef NO_WAIT
        inside == 0;
#endif
        state = ended
    :: else -> state == ended
    fi;
    by_lock()
}

init {
    atomic { run other(); run other() }
}
