"""Memory of one backtest: recorded frames, own orders on their way, notices, and the rows a run leaves.

Read as a contract by bt_own (own orders), bt_run (the loop) and backtest.pyx (memory, Python, exported functions).
Row structs have the layout of the dtypes in tradecore.research.records; backtest.pyx hands out copies of them.
Everything here grows by doubling outside the engine: a backtest is a measuring instrument, not part of the kernel.
"""
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from tradecore_ext.state cimport Engine
from tradecore_ext.types cimport tc_command, tc_terms

cdef enum:
    NEVER = -1

cdef extern from *:
    """
    /* Ids below are the recording's; then orders a converter had to invent, aggressors, own orders. */
    #define TC_UNKNOWN_BASE ((uint64_t)0x4000000000000000)
    #define TC_TAKER_BASE ((uint64_t)0x5000000000000000)
    #define TC_OWN_BASE ((uint64_t)0x6000000000000000)
    """
    const uint64_t UNKNOWN_BASE "TC_UNKNOWN_BASE"
    const uint64_t TAKER_BASE "TC_TAKER_BASE"
    const uint64_t OWN_BASE "TC_OWN_BASE"

cdef extern from *:
    """
    #include <sys/mman.h>
    /* Take whole pages of a mapped file out of the process; reading them again brings them back. */
    static void tc_forget_pages(const void *p, uint64_t bytes) {
    #ifdef MADV_DONTNEED
        uintptr_t first = ((uintptr_t)p + 4095) & ~(uintptr_t)4095;
        uintptr_t end = ((uintptr_t)p + bytes) & ~(uintptr_t)4095;
        if (end > first) madvise((void *)first, end - first, MADV_DONTNEED);
    #endif
    }
    """
    void forget_pages "tc_forget_pages"(const void* p, uint64_t size) noexcept nogil

# What a recorded frame is, in its session_id; 0: an order flow command, replayed as it is.
cdef enum:
    TAG_REDUCTION = 1    # at most this much is left of the order
    TAG_REPAIR = 2       # behind an execution: what the recording left of the order that was hit
    TAG_HIDDEN = 3       # executed against what no feed shows; reaches own orders only

# Why bt_wait returned, and what a notice is.
cdef enum:
    BT_END = 0
    BT_TIMER = 1
    BT_BOOK = 2
    BT_TRADE = 3
    BT_ORDER = 4
    BT_NEED_DATA = 5
    BT_FAULT = -1
    BT_BAD_TIME = -2
    BT_BAD_FRAME = -3
    BT_NO_MEMORY = -4
    BT_TOO_MANY = -5
    BT_NO_ROOM = -6

# Subscriptions.
cdef enum:
    SUB_BOOK = 1
    SUB_TRADE = 2
    SUB_ORDER = 4
    SUB_VIEW = 8         # best prices are kept as the feed shows them, nobody is told

# States of an own order: tradecore.research.records.OrderState.
cdef enum:
    OS_IN_FLIGHT = 0
    OS_LIVE = 1
    OS_FILLED = 2
    OS_CANCELED = 3
    OS_EXPIRED = 4
    OS_REJECTED = 5

# Kinds of delay.
cdef enum:
    DELAY_CONSTANT = 0
    DELAY_RECORDED = 1   # by the time of the message: a step function
    DELAY_DRAWN = 2      # quantiles drawn by a counter-based generator
    DELAY_ARRIVAL = 3    # feed only: the recording says when each frame was received

cdef struct Delay:
    int32_t kind
    int32_t reserved
    int64_t constant_ns
    const int64_t* at_ns     # RECORDED: times, ascending
    const int64_t* value_ns  # RECORDED: delay from that time on; DRAWN: 2^bits quantiles
    int64_t n
    int64_t cursor
    uint64_t seed
    uint64_t drawn           # messages so far
    int64_t* last_ns         # latest arrival of the session: messages keep their order

# Data coarser than orders, and its frames (tradecore.research.frames). Their first 24 bytes are a command's.
cdef enum:
    TIER_L3 = 0
    TIER_L2 = 1
    TIER_L1 = 2
    TIER_BARS = 3

cdef enum:
    MARKET_KINDS = 0x4000
    MARKET_LEVEL = 0x4001
    MARKET_QUOTE = 0x4002
    MARKET_TRADE = 0x4003
    MARKET_BAR = 0x4004
    MARKET_CLEAR = 0x4005

# How the decrease of a level is shared out: tradecore.research.fidelity.
cdef enum:
    QUEUE_RISK_AVERSE = 0
    QUEUE_PROPORTIONAL = 1
    QUEUE_POWER = 2
    QUEUE_OPTIMISTIC = 3

cdef struct LevelFrame:
    uint64_t ts_ns
    uint16_t kind
    uint8_t cont
    uint8_t side
    uint32_t reserved0
    uint32_t reserved1
    uint32_t instrument_id
    int64_t px
    int64_t qty              # from now on; 0 removes the level. TRADE: lots traded, side the aggressor's or 0
    int64_t reserved[3]

cdef struct QuoteFrame:
    uint64_t ts_ns
    uint16_t kind
    uint8_t cont
    uint8_t side
    uint32_t reserved0
    uint32_t reserved1
    uint32_t instrument_id
    int64_t bid_px
    int64_t bid_qty
    int64_t ask_px
    int64_t ask_qty
    int64_t reserved

cdef struct BarFrame:        # stamped with the end of the bar
    uint64_t ts_ns
    uint16_t kind
    uint8_t cont
    uint8_t side
    uint32_t reserved0
    uint32_t reserved1
    uint32_t instrument_id
    int64_t open_px
    int64_t high_px
    int64_t low_px
    int64_t close_px
    int64_t volume

cdef struct Chunk:
    const tc_command* frame
    const int64_t* received_ns   # NULL where the recording does not say
    int64_t n
    int64_t mapped               # it lies in a mapped file: its pages can be given back behind it

cdef struct Quote:
    int64_t bid_px
    int64_t bid_qty
    int64_t ask_px
    int64_t ask_qty

cdef struct Notice:          # what the strategy is told; fields that a kind does not name are 0
    int64_t ts_ns            # when it happened
    int64_t seen_ns          # when the strategy is told
    uint64_t order_id        # ORDER: the own order
    int64_t px               # TRADE, fill: last_px; other order events: px of the order
    int64_t qty              # TRADE, fill: last_qty; other order events: order_qty
    int64_t leaves_qty       # ORDER
    int64_t cum_qty          # ORDER
    Quote quote              # BOOK: best prices from now on
    uint32_t instrument_id
    uint16_t status          # ORDER
    uint8_t kind             # BT_*
    uint8_t side             # TRADE: of the aggressor; ORDER: of the own order
    uint8_t event            # ORDER: tradecore.EventKind
    uint8_t maker            # fill: the own order rested
    uint8_t over             # ORDER: nothing will follow about it but refusals
    uint8_t reserved[5]

cdef struct Ring:            # notices in order of delivery
    Notice* item
    uint64_t mask
    uint64_t head
    uint64_t tail

cdef struct Flight:          # an own command on its way
    int64_t arrive_ns
    uint32_t slot
    uint32_t frames
    tc_command command
    tc_terms terms

cdef struct OrderRow:        # records.ORDER_ROW
    uint64_t order_id
    uint32_t instrument_id
    uint8_t side
    uint8_t ord_type
    uint8_t tif
    uint8_t state
    uint16_t status
    uint16_t flags
    int32_t ahead_orders
    int64_t ahead_qty
    int64_t px
    int64_t order_qty
    int64_t cum_qty
    int64_t canceled_qty
    int64_t filled_ticks
    int64_t sent_ns
    int64_t arrived_ns
    int64_t rested_ns
    int64_t first_fill_ns
    int64_t ended_ns
    int64_t bid_px
    int64_t ask_px

cdef struct FillRow:         # records.FILL_ROW
    uint64_t seq
    int64_t ts_ns
    int64_t seen_ns
    uint64_t order_id
    uint64_t contra_order_id
    uint32_t instrument_id
    uint8_t side
    uint8_t maker
    uint16_t flags
    int64_t last_px
    int64_t last_qty
    int64_t fee
    int64_t cash_delta
    int64_t realised_pnl
    int64_t position_qty
    int64_t bid_px
    int64_t ask_px

cdef struct PositionRow:     # records.POSITION_ROW
    int64_t ts_ns
    uint32_t instrument_id
    uint32_t reserved
    int64_t qty
    int64_t cost
    int64_t realised
    int64_t fees

cdef struct QuoteRow:        # records.QUOTE_ROW
    int64_t ts_ns
    uint32_t instrument_id
    uint32_t reserved
    Quote quote
    int64_t last_px
    int64_t position_qty

cdef struct EquityRow:       # records.EQUITY_ROW
    int64_t ts_ns
    int64_t cash
    int64_t value
    int64_t equity
    int64_t realised
    int64_t fees

cdef struct DepthRow:        # records.DEPTH_ROW
    int64_t ts_ns
    uint32_t instrument_id
    uint8_t side
    uint8_t level
    uint16_t reserved
    int64_t px
    int64_t qty

cdef struct Rows:            # a growing array of one kind of row
    char* data
    uint64_t n
    uint64_t cap
    uint64_t size

cdef struct Own:             # an own order until the strategy knows that it is over; slots are reused
    OrderRow row
    uint32_t fee_rem         # remainder of the cumulative fee, ppm of a quote unit
    uint32_t generation
    uint32_t next            # resting own orders of the same instrument and side; free list
    uint32_t prev
    uint8_t resting
    uint8_t reserved[7]
    int64_t leaves_qty       # at the exchange
    int64_t known_qty        # open lots as far as the strategy has been told
    uint64_t row_no          # its row among `orders`, written at the end of its life

cdef struct Holding:         # what the strategy owns of one instrument
    int64_t known_qty        # as far as it has been told
    int64_t qty
    int64_t cost
    int64_t realised
    int64_t fees

cdef struct Bt:
    Engine* e
    uint32_t account_id
    uint32_t n_instruments   # ids below this one may occur
    uint32_t subscribed
    uint32_t record          # 1: keep rows of orders; 2: of fills and positions; 3: both
    # recorded frames
    Chunk* chunk
    int64_t n_chunks
    int64_t cur
    int64_t at
    int64_t frame_no         # of the recording, counted from 0
    int64_t last_ns          # of the last frame applied
    uint8_t more             # the caller will bring further chunks
    uint8_t exotic           # stops, lists, phases or breakers occur: look at every command
    uint8_t keep_displaced
    uint8_t own_in_book      # best prices as told include own orders
    uint8_t ended            # no frame is left and none will come
    uint8_t open_stamp       # frames of last_ns have been applied, their best prices not yet compared
    uint8_t pushed           # a notice was put into a ring since this was cleared
    uint8_t reserved[1]
    int64_t only             # the one instrument there is, -1 if there are several
    uint32_t n_touched       # instruments with events since the last comparison; above 64: any
    uint32_t touched[64]
    int64_t arrival_ns       # DELAY_ARRIVAL: when the frames applied last were received
    # where the strategy stands
    int64_t now_ns
    Notice note
    Quote* view              # best prices as the strategy sees them, per instrument
    Quote* top               # best prices at the exchange when last looked at
    uint64_t sent            # commands since the last wait
    uint64_t max_sent
    uint64_t sent_ever
    uint64_t max_ever
    # messages under way
    Ring feed
    Ring reply
    Flight* flight
    uint64_t flight_mask
    uint64_t flight_head
    uint64_t flight_tail
    Delay feed_delay
    Delay new_delay
    Delay cancel_delay
    Delay replace_delay
    Delay reply_delay
    int64_t feed_last_ns
    int64_t session_last_ns
    int64_t reply_last_ns
    # own orders
    Own* own
    uint32_t n_own
    uint32_t cap_own
    uint32_t own_free
    uint32_t n_resting       # in a price level, as far as a look after its own command has shown
    uint32_t n_alive         # accepted and not over: stops that wait are not resting
    uint32_t reserved2
    uint32_t* resting_head   # per instrument and side
    int64_t* resting_best    # best own price per instrument and side
    Holding* holding
    int64_t cash
    int64_t realised
    int64_t fees
    # rows
    Rows orders
    Rows fills
    Rows positions
    Rows quotes
    Rows equity
    Rows depth
    int64_t sample_every_ns
    int64_t sample_next_ns
    uint32_t sample_levels
    int32_t failed           # BT_* below 0 that ended the run
    # counters
    uint64_t n_commands
    uint64_t n_events
    uint64_t n_gone          # messages about orders that were no longer there
    uint64_t n_reduced       # reductions that took something
    uint64_t n_repaired      # displaced orders taken out
    uint64_t n_hidden        # hidden executions that reached an own order
    uint64_t n_calls[8]
    # data coarser than orders
    int32_t fidelity         # TIER_*
    int32_t queue_model      # QUEUE_*
    int32_t queue_power
    int32_t reserved1
    uint64_t synthetic       # orders made so far to hold levels
    int64_t participation_ppm
