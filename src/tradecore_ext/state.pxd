"""Every struct of the kernel's memory, read as a contract.

All memory is taken once, at construction, in arenas addressed by 32-bit slots; NIL ends a list.
Hot structs are one cache line or a divisor of it.  Nothing here is visible outside: slots never
appear in an event, a snapshot or a hash.
"""
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from tradecore_ext.mathx cimport int128
from tradecore_ext.types cimport tc_event, tc_instrument

cdef enum:
    NIL = 0xFFFFFFFF

# Life of an order slot.
cdef enum:
    ST_FREE = 0
    ST_ACTIVE = 1    # taker in flight: in no list
    ST_RESTING = 2   # in a level of bids or asks
    ST_DORMANT = 3   # stop waiting: in a level of a stop ladder, or in the trailing list
    ST_PENDING = 4   # list member waiting for its working order
    ST_ELECTED = 5   # stop taken out of the stop book, waiting for its turn in the round

# Ladders of a book.  Rank order: the smallest rank is the next to trade or trigger; rank is +px for
# asks and UP stops, -px for bids and DOWN stops, so that one code serves all four.
cdef enum:
    L_BID = 0
    L_ASK = 1
    L_UP = 2
    L_DOWN = 3

# Internal order flags above the public ones of tc_order_flag (16 bits in all).
cdef enum:
    OF_TOP_BEST = 0x100   # made a new best price when it came to rest
    OF_LINKED = 0x200     # member of a list (its Terms hold the links)
    OF_TRAILING = 0x400
    OF_TRAIL_ACTIVE = 0x800
    OF_CASH = 0x1000      # market order by cash amount
    OF_TIMED = 0x2000     # has a timer (GTD)
    OF_ICEBERG = 0x4000
    OF_HELD = 0x8000      # risk has accepted it: hold taken, counted, in the account list

cdef struct Order:           # 64 bytes, one line
    uint64_t order_id
    int64_t leaves_qty
    int64_t order_qty
    int64_t cum_qty
    uint32_t next            # FIFO inside the level; free list
    uint32_t prev
    uint32_t level           # level slot while in a ladder
    uint32_t account_id
    uint32_t instrument_id
    uint32_t terms           # slot of rare terms, NIL for most orders
    uint8_t side
    uint8_t ord_type
    uint8_t tif
    uint8_t stp
    uint16_t flags           # tc_order_flag and OF_*
    uint8_t state
    uint8_t in_ids           # stands in the id table (a taker enters it when it comes to rest)

cdef union Own:              # what an order keeps by the type of its instrument
    int64_t adverse          # linear: loss against the mark per lot at entry
    uint32_t wallet          # spot: where its hold stands, so that nobody has to ask the position first

cdef struct Money:           # 32 bytes, parallel to Order, only with accounts on
    int64_t hold             # spot buy: quote; spot sell: base; linear: quote for fee and adverse price
    Own own
    uint32_t fee_rem         # remainder of the cumulative fee, parts per million of a quote unit
    uint32_t position        # slot of (account, instrument)
    uint32_t held_next       # all live held orders of the position, newest first
    uint32_t held_prev

cdef struct Terms:           # rare terms of an order, cold
    int64_t px               # limit or protective price while the order is in no price level
    int64_t stop_px
    int64_t display_qty
    int64_t visible_qty      # tip still shown
    int64_t min_qty
    uint64_t expire_ts_ns
    int64_t cash_left        # market by cash: quote units still to spend
    int64_t extreme_px       # trailing: best price since activation
    uint64_t entry           # order of acceptance among stops
    uint32_t trailing_bps
    uint32_t timer           # position in the timer heap
    uint32_t sibling         # OCO: order slot of the other leg
    uint32_t parent          # OTO: order slot of the working order
    uint32_t child           # working order: first pending child
    uint32_t next_child
    uint32_t trail_next      # trailing list of the book
    uint32_t trail_prev
    uint8_t trail_hit        # trailing: a print has triggered it, the round has not begun
    uint8_t reserved[7]

cdef struct Level:           # 32 bytes
    int64_t px
    int64_t qty              # leaves of all orders, hidden parts included
    uint32_t head
    uint32_t tail
    uint32_t count
    uint32_t icebergs

cdef struct Page:            # 64 neighbouring ranks; far pages are nodes of a threaded AVL tree by key
    uint64_t bits            # bit i: rank key*64+i has a level
    int64_t key              # far pages only
    uint32_t left
    uint32_t right
    uint32_t parent
    uint32_t next            # in key order; free list
    uint32_t prev
    uint8_t height
    uint8_t reserved[23]
    uint32_t level[64]

cdef enum:
    WINDOW = 256             # pages of the window around the touch: 16,384 prices
    CORE = 1                 # the word of Ladder.used whose pages stay when they are empty
    LEAD = 80                # where in the window the best price is put: in the first third of the core

cdef struct Ladder:          # a line, a line that only wide books read, and the window behind them
    int64_t best             # rank of the best level, I64_MAX when empty
    int64_t qty              # leaves of the whole side
    int64_t base             # key of the window's first page
    uint64_t used[4]         # bit d: page base + d has a level
    uint32_t best_level
    uint32_t n_levels
    uint32_t root            # tree of far pages
    uint32_t far_first       # leftmost far page
    uint32_t far_ops         # weighted count of what was done outside of the core since it moved
    uint32_t book            # instrument_id
    uint64_t reserved[6]
    uint32_t window[256]     # pages of the window, 0 none; those of the core stay

cdef struct Timer:
    uint64_t deadline
    uint64_t tie             # order_id or instrument_id
    uint32_t kind            # 0 order expiry, 1 phase
    uint32_t ref             # order slot or instrument_id

cdef enum:
    FILTER_ALL = 0           # tick or lot is not 1: check_filters
    FILTER_QTY = 1           # nothing but the largest quantity
    FILTER_RANGE = 2         # smallest quantity, price band and notional besides

cdef struct Book:
    # line 0: what every command on the instrument reads
    uint8_t exists
    uint8_t phase
    uint8_t plain            # FILTER_*: what the filters ask of a plain order
    uint8_t linear
    uint8_t breakers         # a static or dynamic band is configured
    uint8_t prorata          # spec.algo is pro-rata
    uint8_t trigger          # spec.trigger: the price source of stops
    uint8_t restricted       # no account may enter orders (RESTRICT with account TC_ANY)
    uint32_t n_stops         # dormant stops in the two stop ladders
    uint32_t n_trailing
    int64_t last_px          # last trade, 0 none
    int64_t mark_px          # 0 none
    int64_t max_order_qty
    int64_t lo_px            # source prices since the last election round; lo > hi: none
    int64_t hi_px
    uint64_t n_live          # live orders in any state
    # line 1: what money and trades read besides; the first six are spec's (instrument.pxd copies them)
    int64_t multiplier
    int64_t base_per_lot
    int32_t maker_fee_ppm
    int32_t taker_fee_ppm
    uint32_t quote_asset
    uint32_t base_asset
    int64_t band_lo_px       # prices inside spec's band, derived from it (instrument.pxd)
    int64_t band_hi_px
    uint32_t firm_sums       # slot + 1 of the firm's GroupPosition of the instrument, 0 not looked up yet
    uint32_t reserved3
    uint32_t positions_head  # all positions of the instrument, any order
    uint8_t dirty            # stands in the election list of this command
    uint8_t reserved0
    uint16_t trip_status     # breaker tripped by the taker in flight, 0 none
    # from line 2 on, 18 lines each
    Ladder ladder[4]
    tc_instrument spec
    int64_t auction_ref_px   # reference of SET_PHASE for the next uncross, 0 none
    uint64_t mark_ts_ns
    int64_t quiet_lo         # prints strictly between the two are of no interest to any trailing stop
    int64_t quiet_hi
    uint32_t phase_timer     # position in the timer heap, NIL none
    uint32_t trailing_head
    uint32_t pending_trailing  # trailing stops among the pending list members
    uint32_t reserved1
    int64_t dyn_ref_px       # breakers: last trade when the order in flight began
    uint64_t reserved2       # every book begins on a line of its own

cdef struct IdLine:          # 64 bytes: eight ids
    uint32_t tag[8]          # of the hash; 0 free
    uint32_t slot[8]         # undefined where the tag is 0

cdef struct IdTable:         # order_id -> slot (ids.pxd)
    IdLine* line
    uint64_t mask            # lines in use - 1
    uint32_t shift           # line = tag >> shift
    uint32_t reserved
    uint64_t used            # ids
    uint64_t max_mask
    IdLine* spare            # the other half of the memory, for growing
    uint64_t key0            # seed of the keyed hash: ids are chosen outside, collisions must not be
    uint64_t key1

cdef struct Wallet:          # (account, asset)
    int64_t total
    int64_t hold             # of orders and of margin
    int64_t upnl             # unrealised of cross positions settled in the asset, at their marks
    int64_t initial_margin   # sum over cross positions, part of hold
    int64_t maintenance_margin
    uint32_t account_id
    uint32_t asset_id
    uint8_t state            # tc_account_state of the cross pool
    uint8_t round            # liquidation round
    uint8_t dirty            # stands in the queue of touched pools
    uint8_t marked           # a mark of one of its instruments came since the last round
    uint8_t suspended        # said to be suspended by a stale mark
    uint8_t reserved[3]
    uint32_t acct_next       # wallets of the account
    uint32_t next            # free list

cdef struct Position:        # (account, instrument); never erased. 128 bytes: orders and fills of spot read line 0
    int64_t qty              # lots, signed; spot: net lots traded
    int64_t cost             # signed cost basis, quote units; sign of qty
    int64_t realised         # quote units, fees not included
    int64_t open_buy         # working lots of held orders
    int64_t open_sell
    uint32_t orders_head     # live held orders
    uint8_t restricted       # no new orders (RESTRICT)
    uint8_t watched          # some rule looks at the account itself (watch.pxd); where none does its record is not read
    uint8_t reserved0[2]
    uint32_t account_id
    uint32_t instrument_id
    uint32_t quote_wallet
    uint32_t base_wallet     # NIL for linear
    # line 1
    int64_t fees             # quote units paid
    int64_t initial_margin
    int64_t maintenance_margin
    int64_t upnl
    int64_t iso_margin       # cash inside an isolated position
    int64_t held_im          # linear: this position's share of the wallet's hold
    uint32_t acct_next       # positions of the account, newest first
    uint32_t inst_next       # positions of the instrument, newest first
    uint8_t mode             # tc_margin_mode
    uint8_t state            # isolated: tc_account_state
    uint8_t round
    uint8_t dirty
    uint8_t marked           # isolated pool, as in Wallet
    uint8_t suspended
    uint8_t reserved[2]

cdef struct Bucket:          # token bucket and duplicate window of one node
    uint64_t tokens          # nano-messages: one message = 1e9
    uint64_t refilled_ns
    uint64_t dup_since_ns    # when the remembered order was first seen
    int64_t dup_px           # the remembered order
    int64_t dup_qty
    int64_t dup_cash
    uint32_t dup_instrument
    uint32_t dup_seen        # how often; 0 = nothing remembered
    uint8_t dup_side
    uint8_t dup_ord_type
    uint8_t reserved[6]

cdef struct Limits:          # 0 = off
    int64_t max_order_qty
    int64_t max_order_notional
    int64_t max_position_qty
    int64_t max_gross_notional
    int64_t max_open_orders
    uint32_t rate_per_s
    uint32_t rate_burst
    uint64_t duplicate_window_ns
    uint32_t duplicate_count
    uint32_t collar_ppm
    uint64_t stale_ns
    uint32_t any             # tc_limit_field of the limits that are on
    uint32_t reserved

cdef struct Rules:           # cold part of a risk node: pages of accounts without limits are never touched
    Bucket bucket
    Limits limits

cdef struct RiskNode:        # an account, a group or the firm: one line
    uint8_t exists
    uint8_t killed
    uint8_t reserved0[2]
    uint32_t limited         # = limits.any
    uint32_t group_id
    uint32_t trade_group
    uint32_t open_orders     # live held orders; account: kept while watched; groups and firm: while Engine.track is on
    uint32_t reserved3
    uint32_t wallets_head
    uint32_t positions_head
    int128 gross_notional    # of working orders with a price, quote units; kept while Engine.track is on
    uint32_t insures         # account: linear instruments that name it as their insurance account
    uint32_t reserved1
    uint64_t reserved2

cdef struct KeyTable:        # (account, x) -> slot: linear probing; nothing is ever erased
    uint64_t* entry          # upper half of the hash, slot + 1; 0 empty
    uint64_t mask
    uint32_t shift           # home = hash >> shift
    uint32_t used

cdef struct GroupPosition:   # (group, instrument), group 0 = the firm: sums over accounts, for position limits
    int128 qty
    int128 open_buy
    int128 open_sell
    uint32_t group_id
    uint32_t instrument_id
    uint64_t reserved

cdef struct Engine:
    # clock, counters
    uint64_t now
    uint64_t in_seq
    uint64_t out_seq
    uint64_t entry           # acceptance counter of stops
    int64_t taker_px         # limit or protective price of the order in flight (ST_ACTIVE)
    uint32_t epoch
    uint32_t fault           # status 9xx once an invariant failed
    uint32_t fault_line
    uint8_t accounts         # risk and ledger are on
    uint8_t prefetch         # 0 off, 1 on, 2 by size
    uint8_t in_command
    uint8_t reserved0
    # events
    tc_event* out
    uint64_t n_out
    uint64_t cap_out
    uint64_t out_pinned      # exported views of the buffer alive: it must not move
    tc_event* retired[64]    # buffers that were grown away while somebody viewed them
    uint32_t n_retired
    uint64_t live            # live orders
    # arenas
    Order* order
    Money* money
    Terms* terms
    Level* level
    Page* page
    Book* book
    Timer* timer
    uint32_t order_free
    uint32_t terms_free
    uint32_t level_free
    uint32_t page_free
    uint32_t order_fresh     # slots never used yet: the free list is LIFO in front of them
    uint32_t terms_fresh
    uint32_t level_fresh
    uint32_t page_fresh
    uint32_t max_orders
    uint32_t max_terms
    uint32_t max_levels
    uint32_t max_pages
    uint32_t max_timers
    uint32_t n_timers
    uint32_t max_instruments
    uint32_t n_levels
    uint32_t n_terms
    uint32_t n_pages
    IdTable ids
    # work lists of one command, allocated once
    uint32_t* scratch        # order slots, max_orders of them
    uint32_t n_scratch
    int64_t* share           # pro-rata: lots of each maker of the level, parallel to `maker`
    uint32_t* maker
    uint32_t n_makers
    uint32_t parents_head    # OTO parents finished during this taker, linked through Terms.trail_next
    uint32_t parents_tail
    uint32_t n_dirty_books
    uint32_t* dirty_books    # instruments whose stops must be looked at
    # accounts
    RiskNode* account
    RiskNode* group          # 1-based; slot 0 unused
    RiskNode firm
    Rules* account_rules
    Rules* group_rules
    Rules firm_rules
    Wallet* wallet
    Position* position
    KeyTable wallets
    KeyTable positions
    uint32_t max_accounts
    uint32_t max_groups
    uint32_t max_assets
    uint32_t max_wallets
    uint32_t max_positions
    uint32_t n_wallets
    uint32_t n_positions
    uint32_t n_dirty         # liquidation: touched margin pools
    uint64_t* dirty          # packed (account, asset or instrument, kind)
    uint32_t cap_dirty
    uint32_t reserved1
    int64_t* fees            # per asset
    int64_t* deposits
    int64_t* clearing        # per asset: minus what linear positions have realised
    int64_t* rate            # per asset: base currency per unit, 1e9 fixed point
    uint64_t liq_counter     # ids of engine-made orders: 2^63 | counter
    uint64_t dirty_base      # the queue of touched pools is ordered by key - dirty_base
    int128 liq_notional      # fill notional of the closing order in flight
    uint32_t* rank           # position slots, max_positions of them: funding, ranking of deleverage
    # sums for limits of groups and of the firm: nothing is kept before such a limit is set
    KeyTable group_positions
    GroupPosition* group_position
    uint32_t n_group_positions
    uint32_t max_group_positions
    uint8_t track            # some gross, group or firm limit is set: the sums are kept
    uint8_t restricted_any   # some instrument is restricted for everybody
    uint8_t linear_any       # some instrument is linear
    uint8_t limited_any      # some group or the firm has a limit

cdef struct AuditResult:     # first identity that does not hold; code 0 = all hold
    uint32_t code
    uint32_t where           # slot, instrument or account, by code
    int64_t observed
    int64_t expected

cdef struct Verdict:         # why an order was refused
    int64_t observed
    int64_t limit
    uint8_t scope
