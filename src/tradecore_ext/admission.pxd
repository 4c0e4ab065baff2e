"""One pass over the commands of a record: what reaches the engine, and what is answered instead.

Owner of: the session rule, the rule of repeated order ids, and log time in commands.  Works in place on the record's
own copy; what is dropped leaves no hole.
Called by: gate.pyx.
"""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memmove, memset

from tradecore_ext.mathx cimport prefetch, unlikely
from tradecore_ext.recents cimport *
from tradecore_ext.types cimport *

cdef enum:
    BLOCK = 32              # commands whose buckets are fetched together
    NOT_HERE = 0xFFFFFFFF


cdef struct Staged:
    uint64_t at             # frame index in the record
    uint64_t terms
    uint32_t tag
    uint16_t frames
    uint16_t kind


cdef struct Added:          # an order id remembered by the record at hand, in command order
    uint64_t order_id
    uint32_t account_id
    uint32_t slot
    uint32_t command        # which command of those that reach the engine, from 0
    uint16_t answer_status
    uint8_t answer_kind     # 0: not answered yet
    uint8_t reserved0
    uint64_t answer_seq


cdef struct Admission:
    Recents r
    tc_command* commands    # the record at hand
    tc_repeat_event* answer
    uint32_t* answer_of     # which of `added` it repeats, NOT_HERE if its answer is complete
    Added* added
    uint32_t* turn          # by ring position: which of `added` is there, if it came with this record
    uint64_t n_answers
    uint64_t n_added
    uint64_t n_commands     # that reach the engine
    uint64_t repeated       # orders, ever
    uint64_t refused        # commands, ever
    bint sessions


cdef inline bint numbered(uint64_t order_id) noexcept nogil:
    """Whether an id can be a client's: others are refused by the engine's frame check."""
    return order_id - 1 < <uint64_t>0x7FFFFFFFFFFFFFFF


cdef inline bint wrong_session(uint64_t order_id, uint32_t session_id, bint may_omit) noexcept nogil:
    """Whether a command names another session than its id carries. Only cancel and replace may name none."""
    if session_id == 0:
        return not may_omit
    return order_id >> 32 != session_id


cdef inline tc_repeat_event* gate_say(
    Admission* g, const tc_command* c, uint8_t kind, uint16_t status
) noexcept nogil:
    """One answer of the gate; its last 32 bytes are zero."""
    cdef tc_repeat_event* a = g.answer + g.n_answers
    memset(a, 0, sizeof(tc_repeat_event))
    a.order_id = c.order_id
    a.account_id = c.account_id
    a.instrument_id = c.instrument_id
    a.kind = kind
    a.status = status
    g.answer_of[g.n_answers] = <uint32_t>NOT_HERE
    g.n_answers += 1
    return a


cdef inline void gate_refuse(Admission* g, const tc_command* c, uint64_t order_id, uint32_t session_id) noexcept nogil:
    """WRONG_SESSION in the kind of refusal that the engine itself would use."""
    cdef tc_reject_event* a
    cdef uint8_t kind = TC_EVT_REJECTED
    if c.kind == TC_CMD_CANCEL_ORDER:
        kind = TC_EVT_CANCEL_REJECTED
    elif c.kind == TC_CMD_REPLACE_ORDER:
        kind = TC_EVT_REPLACE_REJECTED
    a = <tc_reject_event*>gate_say(g, c, kind, TC_STATUS_WRONG_SESSION)
    if c.kind != TC_CMD_NEW_ORDER_LIST:
        a.side = c.side
    a.observed = session_id
    a.limit = <int64_t>(order_id >> 32)
    a.command_kind = c.kind
    g.refused += 1


cdef inline void complete_answer(
    tc_repeat_event* said, uint8_t kind, uint16_t status, uint64_t seq, uint64_t ts_ns
) noexcept nogil:
    said.answer_kind = kind
    said.answer_status = status
    said.answer_seq = seq
    said.answer_ts_ns = ts_ns
    if said.status == 0:
        said.status = status


cdef inline bint gate_repeats(
    Admission* g, const tc_command* c, uint32_t tag, uint64_t terms, uint32_t* end
) noexcept nogil:
    """Whether an order's id is remembered; if so it is answered. `end` is recent_find's."""
    cdef uint32_t slot = recent_find(&g.r, tag, c.account_id, c.order_id, end)
    cdef const Recent* e
    cdef tc_repeat_event* said
    cdef uint32_t k
    if slot == <uint32_t>NO_RECENT:
        return False
    e = g.r.entry + slot
    said = gate_say(g, c, TC_CELL_REPEATED, 0 if e.terms == terms else TC_STATUS_REPEATED_OTHER_TERMS)
    said.side = c.side
    g.repeated += 1
    if e.answer_kind:
        complete_answer(said, e.answer_kind, e.answer_status, e.answer_seq, e.answer_ts_ns)
        return True
    k = g.turn[slot]
    if k < g.n_added and g.added[k].slot == slot:
        g.answer_of[g.n_answers - 1] = k
    return True


cdef inline void gate_remember(
    Admission* g, const tc_command* c, uint32_t tag, uint64_t terms, uint32_t end
) noexcept nogil:
    cdef Added* a = g.added + g.n_added
    a.slot = recent_add(&g.r, tag, c.account_id, c.order_id, terms, end)
    a.order_id = c.order_id
    a.account_id = c.account_id
    a.command = <uint32_t>g.n_commands
    a.answer_kind = 0
    g.turn[a.slot] = <uint32_t>g.n_added
    g.n_added += 1


cdef inline bint admit_list(Admission* g, tc_command* h, uint64_t frames, uint64_t ts_ns) noexcept nogil:
    """A list is one command: it passes, or is answered by one frame. One that is not well formed passes."""
    cdef tc_command* member[3]
    cdef uint64_t own[3]
    cdef uint64_t terms = list_terms(h)
    cdef uint32_t n = 0
    cdef uint32_t k
    cdef uint32_t tag
    cdef uint32_t end = 0
    cdef uint64_t at = 1
    cdef uint64_t j
    while at < frames:
        if n == 3 or h[at].kind != TC_CMD_NEW_ORDER or at + h[at].cont >= frames or not numbered(h[at].order_id):
            return True
        member[n] = h + at
        own[n] = head_terms(h + at)
        for j in range(<uint64_t>h[at].cont):
            own[n] = more_terms(own[n], h + at + 1 + j)
        terms = join_terms(terms, own[n])
        n += 1
        at += 1 + <uint64_t>h[at].cont
    if n == 0:
        return True
    if g.sessions:
        if wrong_session(h.order_id, (<tc_list*>h).session_id, False):
            gate_refuse(g, h, h.order_id, (<tc_list*>h).session_id)
            return False
        for k in range(n):
            if wrong_session(member[k].order_id, member[k].session_id, False):
                gate_refuse(g, h, member[k].order_id, member[k].session_id)
                return False
    if gate_repeats(g, member[0], recent_tag(&g.r, member[0].account_id, member[0].order_id), terms, &end):
        return False
    for k in range(n):
        member[k].ts_ns = ts_ns
        tag = recent_tag(&g.r, member[k].account_id, member[k].order_id)
        # An id that only a later member repeats is the engine's to refuse, and stays as it is remembered.
        if recent_find(&g.r, tag, member[k].account_id, member[k].order_id, &end) == <uint32_t>NO_RECENT:
            gate_remember(g, member[k], tag, terms if k == 0 else join_terms(terms, own[k]), end)
    return True


cdef inline bint admit_command(Admission* g, tc_command* c, const Staged* s, uint64_t ts_ns) noexcept nogil:
    """Whether one command reaches the engine."""
    cdef uint32_t end = 0
    if s.kind == TC_CMD_NEW_ORDER:
        if unlikely(not numbered(c.order_id)):
            return True
        if g.sessions and unlikely(wrong_session(c.order_id, c.session_id, False)):
            gate_refuse(g, c, c.order_id, c.session_id)
            return False
        if unlikely(gate_repeats(g, c, s.tag, s.terms, &end)):
            return False
        gate_remember(g, c, s.tag, s.terms, end)
    elif s.kind == TC_CMD_CANCEL_ORDER or s.kind == TC_CMD_REPLACE_ORDER:
        if g.sessions and numbered(c.order_id) and unlikely(wrong_session(c.order_id, c.session_id, True)):
            gate_refuse(g, c, c.order_id, c.session_id)
            return False
    elif s.kind == TC_CMD_NEW_ORDER_LIST:
        return admit_list(g, c, s.frames, ts_ns)
    return True


cdef inline uint32_t stage(Admission* g, uint64_t n, uint64_t* at, uint32_t* oldest, Staged* staged) noexcept nogil:
    """Hash the next commands of a record and ask for the buckets they will need; return how many.

    `oldest` walks over the ring positions that they will push out.
    """
    cdef const tc_command* c = g.commands
    cdef const Recent* out
    cdef Staged* s
    cdef uint64_t i = at[0]
    cdef uint32_t count = 0
    cdef uint32_t j
    while count < <uint32_t>BLOCK and i < n:
        s = staged + count
        s.at = i
        s.kind = c[i].kind
        s.frames = <uint16_t>(1 + c[i].cont)
        if s.frames > n - i:
            s.frames = <uint16_t>(n - i)
        if s.kind == TC_CMD_NEW_ORDER:
            s.tag = recent_tag(&g.r, c[i].account_id, c[i].order_id)
            prefetch(g.r.bucket + (s.tag >> g.r.shift))
            s.terms = head_terms(c + i)
            for j in range(1, <uint32_t>s.frames):
                s.terms = more_terms(s.terms, c + i + j)
            if g.r.count == g.r.capacity:
                out = g.r.entry + oldest[0]
                prefetch(g.r.bucket + (recent_tag(&g.r, out.account_id, out.order_id) >> g.r.shift))
                oldest[0] = recent_step(&g.r, oldest[0])
        i += s.frames
        count += 1
    at[0] = i
    return count


cdef inline uint64_t take_in(Admission* g, uint64_t n, uint64_t ts_ns) noexcept nogil:
    """Judge the n frames of a record in place; return how many remain in front for the engine.

    A block is staged while the block before it is judged, so that its buckets are here when it comes to them.
    """
    cdef Staged staged[2][BLOCK]
    cdef Staged* s
    cdef tc_command* c = g.commands
    cdef uint64_t at = 0
    cdef uint64_t out = 0
    cdef uint32_t oldest = g.r.oldest
    cdef uint32_t turn = 0
    cdef uint32_t count
    cdef uint32_t following
    cdef uint32_t k
    g.n_answers = 0
    g.n_added = 0
    g.n_commands = 0
    count = stage(g, n, &at, &oldest, staged[0])
    while count:
        following = stage(g, n, &at, &oldest, staged[turn ^ 1])
        for k in range(count):
            s = staged[turn] + k
            c[s.at].ts_ns = ts_ns
            if admit_command(g, c + s.at, s, ts_ns):
                if out != s.at:
                    memmove(c + out, c + s.at, s.frames * sizeof(tc_command))
                out += s.frames
                g.n_commands += 1
        count = following
        turn ^= 1
    return out


cdef inline void settle_answers(
    Admission* g, uint32_t before, const tc_event* v, uint64_t n, uint64_t ts_ns
) noexcept nogil:
    """Note the first answer of every order id this record added, then complete the answers of repetitions.

    Events lie in the order of their commands, so both lists are walked once.
    """
    cdef uint64_t i
    cdef uint64_t a = 0
    cdef uint64_t k
    cdef uint32_t command
    cdef uint8_t kind
    cdef Added* x
    cdef Recent* e
    for i in range(n if g.n_added else 0):
        kind = v[i].kind
        if kind != TC_EVT_ACCEPTED and kind != TC_EVT_REJECTED:
            continue
        command = v[i].in_seq - before - 1
        while a < g.n_added and g.added[a].command < command:
            a += 1
        k = a
        while k < g.n_added and g.added[k].command == command:
            x = g.added + k
            # A list is refused as a whole, under its own id.
            if x.answer_kind == 0 and (
                v[i].order_id == x.order_id or (
                    kind == TC_EVT_REJECTED
                    and (<tc_reject_event*>(v + i)).command_kind == TC_CMD_NEW_ORDER_LIST
                )
            ):
                x.answer_kind = kind
                x.answer_status = v[i].status
                x.answer_seq = v[i].seq
                # Unless the record itself has pushed it out since.
                if g.turn[x.slot] == k:
                    e = g.r.entry + x.slot
                    e.answer_kind = kind
                    e.answer_status = v[i].status
                    e.answer_seq = v[i].seq
                    e.answer_ts_ns = ts_ns
            k += 1
    for i in range(g.n_answers):
        if g.answer_of[i] != <uint32_t>NOT_HERE:
            x = g.added + g.answer_of[i]
            if x.answer_kind:
                complete_answer(g.answer + i, x.answer_kind, x.answer_status, x.answer_seq, ts_ns)
