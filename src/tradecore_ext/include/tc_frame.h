/* The wire and disk layout of tradecore: every struct that leaves the kernel.
 *
 * Owner of: sizes, offsets, codes.  The Cython view (types.pxd), the numpy dtypes, the reference
 * pages and the golden tests are generated from this file, so a change here is a change of format:
 * fields are only ever appended into reserved space, codes are never reused, TC_ABI counts up.
 *
 * Rules of the layout: little-endian, 64-byte frames (one cache line), no hidden padding, reserved
 * bytes are zero and checked.  A command is one frame plus `cont` continuation frames behind it, so
 * that arrays of frames stay uniform.  All commands share the first 24 bytes; all events share the
 * first 32.  No field has two meanings: another meaning is another struct.
 */
#ifndef TC_FRAME_H
#define TC_FRAME_H

#include <stddef.h>
#include <stdint.h>

#define TC_ABI 1          /* counts up with every change of a public struct or function */
#define TC_SCHEMA 1       /* version of the frames inside an envelope */
#define TC_FRAME_BYTES 64

/* Hard limits of any price and quantity; products go through 128 bits (mathx.pxd). */
#define TC_MAX_PX ((int64_t)1 << 56)
#define TC_MAX_QTY ((int64_t)1 << 56)
#define TC_MAX_CASH ((int64_t)1 << 62)
#define TC_ANY ((uint32_t)0xFFFFFFFF) /* wildcard of an id in a scope */

/* ---- codes ------------------------------------------------------------------------------- */

enum tc_command_kind {
    TC_CMD_NEW_ORDER = 1,
    TC_CMD_CANCEL_ORDER = 2,
    TC_CMD_REPLACE_ORDER = 3,
    TC_CMD_NEW_ORDER_LIST = 4,
    TC_CMD_TIME = 10,
    TC_CMD_MASS_CANCEL = 11,
    TC_CMD_SET_PHASE = 12,
    TC_CMD_UNCROSS = 13,
    TC_CMD_MARK_PRICE = 14,
    TC_CMD_LAST_PRICE = 15,
    TC_CMD_INSTRUMENT = 21,
    TC_CMD_ACCOUNT = 22,
    TC_CMD_LIMITS = 24,
    TC_CMD_DEPOSIT = 25,
    TC_CMD_WITHDRAW = 26,
    TC_CMD_TRANSFER = 27,
    TC_CMD_KILL_SWITCH = 28,
    TC_CMD_RESTRICT = 29,
    TC_CMD_FUNDING = 30,
    TC_CMD_EPOCH = 31,
    TC_CMD_RATE = 32,
    TC_CMD_MARGIN_MODE = 34,
    TC_CMD_MARGIN_TRANSFER = 35,
    TC_CMD_TERMS = 0x8001 /* continuation: rare terms of the order before it */
};

enum tc_side { TC_SIDE_NONE = 0, TC_SIDE_BUY = 1, TC_SIDE_SELL = 2 };

/* Codes 1-4 are FIX OrdType(40); take-profit and trailing have letters there, so get our own. */
enum tc_ord_type {
    TC_ORD_MARKET = 1,
    TC_ORD_LIMIT = 2,
    TC_ORD_STOP = 3,
    TC_ORD_STOP_LIMIT = 4,
    TC_ORD_TAKE_PROFIT = 5,
    TC_ORD_TAKE_PROFIT_LIMIT = 6
};

/* FIX TimeInForce(59). */
enum tc_tif { TC_TIF_DAY = 0, TC_TIF_GTC = 1, TC_TIF_IOC = 3, TC_TIF_FOK = 4, TC_TIF_GTD = 6 };

enum tc_stp {
    TC_STP_NONE = 0,
    TC_STP_EXPIRE_TAKER = 1,
    TC_STP_EXPIRE_MAKER = 2,
    TC_STP_EXPIRE_BOTH = 3,
    TC_STP_DECREMENT = 4
};

enum tc_order_flag {
    TC_FLAG_POST_ONLY = 1,
    TC_FLAG_REDUCE_ONLY = 2,
    TC_FLAG_TOP = 4,        /* pro-rata: this order has the top-order right (alloc_top by flag) */
    TC_FLAG_LEAVES = 8,     /* replace: order_qty counts the open quantity, not the total */
    TC_FLAG_REQUEUE = 16,   /* replace: give up time priority even where the rule would keep it */
    TC_FLAG_LIQUIDATION = 32 /* set by the engine on its own closing orders; refused from outside */
};

enum tc_contingency { TC_LIST_OCO = 1, TC_LIST_OTO = 2, TC_LIST_OTOCO = 3 };

enum tc_phase {
    TC_PHASE_AUCTION = 1,     /* call: orders rest, the book may cross, nothing trades */
    TC_PHASE_CONTINUOUS = 2,
    TC_PHASE_CANCEL_ONLY = 3,
    TC_PHASE_HALTED = 4,
    TC_PHASE_CLOSED = 5
};

enum tc_algo { TC_ALGO_FIFO = 0, TC_ALGO_PRORATA = 1 };
enum tc_alloc_top { TC_TOP_NONE = 0, TC_TOP_FLAG = 1, TC_TOP_BEST = 2 };
enum tc_stop_election { TC_ELECT_ENTRY = 0, TC_ELECT_DISTANCE = 1 };
enum tc_stop_policy { TC_STOP_REFUSE = 0, TC_STOP_ACCEPT = 1 }; /* stop already through at entry */
enum tc_trigger { TC_TRIGGER_LAST = 0, TC_TRIGGER_MARK = 1, TC_TRIGGER_QUOTE = 2 };
enum tc_instrument_type { TC_TYPE_SPOT = 0, TC_TYPE_LINEAR = 1 };
enum tc_scope { TC_SCOPE_ACCOUNT = 1, TC_SCOPE_GROUP = 2, TC_SCOPE_FIRM = 3, TC_SCOPE_INSTRUMENT = 4 };
enum tc_margin_mode { TC_MARGIN_CROSS = 0, TC_MARGIN_ISOLATED = 1 };

enum tc_account_state {
    TC_STATE_NORMAL = 0,
    TC_STATE_WARN = 1,
    TC_STATE_REDUCE_ONLY = 2,
    TC_STATE_LIQ_CANCEL = 3,
    TC_STATE_LIQ_REDUCE = 4,
    TC_STATE_BACKSTOP = 5
};

enum tc_event_kind {
    TC_EVT_ACCEPTED = 1,        /* tc_order_event */
    TC_EVT_REJECTED = 2,        /* tc_reject_event: a new order, a list or an admin command */
    TC_EVT_FILL = 3,            /* tc_fill_event: one maker-taker pairing */
    TC_EVT_CANCELED = 4,        /* tc_order_event */
    TC_EVT_EXPIRED = 5,         /* tc_order_event */
    TC_EVT_REPLACED = 6,        /* tc_order_event */
    TC_EVT_TRIGGERED = 7,       /* tc_order_event: a stop was elected, or a pending leg activated */
    TC_EVT_RESTATED = 8,        /* tc_order_event: iceberg tip refreshed, or decremented by STP */
    TC_EVT_SETTLED = 9,         /* tc_settle_event: one side of one fill in the ledger */
    TC_EVT_PHASE = 10,          /* tc_market_event */
    TC_EVT_AUCTION = 11,        /* tc_market_event: result of an uncross */
    TC_EVT_CANCEL_REJECTED = 12,  /* tc_reject_event */
    TC_EVT_REPLACE_REJECTED = 13, /* tc_reject_event */
    TC_EVT_BALANCE = 14,        /* tc_balance_event: a ledger movement that is not a fill */
    TC_EVT_ACCOUNT_STATE = 15,  /* tc_account_event: liquidation state machine moved */
    TC_EVT_DONE = 16            /* tc_reject_event with status OK: an admin command took effect */
};

enum tc_fill_flag {
    TC_FILL_TAKER_DONE = 1, /* leaves_qty of the taker is now 0 */
    TC_FILL_MAKER_DONE = 2, /* leaves_qty of the maker is now 0 */
    TC_FILL_AUCTION = 4,    /* uncross print; the buy order stands in the taker's place */
    TC_FILL_LIQUIDATION = 8,
    TC_FILL_ADL = 16        /* auto-deleverage: no order on either side, order ids are 0 */
};

/* What a cell adds to the engine's events; disjoint from tc_event_kind, the byte is the same. */
enum tc_cell_kind {
    TC_CELL_BATCH = 32,     /* tc_batch_event */
    TC_CELL_REPEATED = 33,  /* tc_repeat_event */
    TC_CELL_TRADE = 48,     /* tc_trade_event: market data */
    TC_CELL_QUOTE = 49,     /* tc_quote_event: market data */
    TC_CELL_LEVEL = 50,     /* tc_level_event: market data */
    TC_CELL_AUDIT = 64      /* tc_audit_event */
};

/* ---- commands ---------------------------------------------------------------------------- */

/* NEW_ORDER, CANCEL_ORDER, REPLACE_ORDER.  Cancel uses order_id, account_id only. */
typedef struct tc_command {
    uint64_t ts_ns;         /* log time, Unix ns; engine time is max(now, ts_ns) */
    uint16_t kind;
    uint8_t cont;           /* continuation frames behind this one */
    uint8_t side;
    uint8_t ord_type;
    uint8_t tif;
    uint8_t stp;
    uint8_t reserved0;
    uint32_t account_id;
    uint32_t instrument_id;
    uint64_t order_id;      /* chosen outside, unique among live orders, never 0 */
    int64_t px;             /* ticks; limit price, or the protective price of a market order (0 none) */
    int64_t order_qty;      /* lots; replace: new total (0 keeps) */
    uint64_t sent_ts_ns;    /* client's time, for the stale rule; 0 = not checked */
    uint32_t flags;         /* tc_order_flag */
    uint32_t session_id;    /* trading session (bot run or login), carried for the record */
} tc_command;

/* Continuation of an order with rare terms; 0 = term absent. */
typedef struct tc_terms {
    int64_t stop_px;        /* trigger, ticks */
    uint16_t kind;          /* TC_CMD_TERMS */
    uint16_t trailing_bps;  /* trailing distance; stop_px is then the activation price (0 = at once) */
    uint32_t reserved0;
    int64_t display_qty;    /* iceberg tip, lots */
    int64_t min_qty;        /* least quantity to fill on entry, lots */
    uint64_t expire_ts_ns;  /* GTD */
    int64_t cash_order_qty; /* market by quote amount: spend at most this, quote units */
    uint64_t reserved1;
    uint64_t reserved2;
} tc_terms;

/* Header of NEW_ORDER_LIST; the members follow as complete NEW_ORDER commands.  `cont` counts all
 * frames behind the header, the members' own continuations included. */
typedef struct tc_list {
    uint64_t ts_ns;
    uint16_t kind;
    uint8_t cont;
    uint8_t contingency;
    uint32_t reserved0;
    uint32_t account_id;
    uint32_t instrument_id;
    uint64_t list_id;
    uint64_t sent_ts_ns;
    uint32_t session_id;
    uint32_t reserved1;
    uint64_t reserved2;
    uint64_t reserved3;
} tc_list;

/* Everything else of one frame.  Which fields a kind reads stands in docs/reference/semantics.md;
 * the others must be zero. */
typedef struct tc_admin {
    uint64_t ts_ns;
    uint16_t kind;
    uint8_t cont;
    uint8_t side;           /* MASS_CANCEL: 0 = both */
    uint8_t phase;
    uint8_t state;          /* KILL_SWITCH, RESTRICT, ACCOUNT: 1 on / 0 off; MARGIN_MODE: the mode */
    uint8_t scope;
    uint8_t reserved0;
    uint32_t account_id;
    uint32_t instrument_id;
    uint32_t asset_id;
    uint32_t group_id;      /* ACCOUNT: risk group; KILL_SWITCH with scope group */
    int64_t amount;         /* cash units; FUNDING: cash per lot held long */
    int64_t mark_px;        /* MARK_PRICE, LAST_PRICE: ticks */
    int64_t ref_px;         /* SET_PHASE, UNCROSS: reference price, 0 = none */
    uint32_t epoch;         /* EPOCH */
    uint32_t contra_account_id; /* TRANSFER: receiver; ACCOUNT: trade group of STP (0 none) */
} tc_admin;

typedef struct tc_margin_tier {
    int64_t max_notional;   /* upper bound of the tier in quote units, 0 = no further tier */
    uint32_t im_ppm;        /* initial margin rate, parts per million */
    uint32_t mm_ppm;        /* maintenance margin rate */
} tc_margin_tier;

/* INSTRUMENT: four frames (cont = 3), the tail frames are raw bytes of this struct. */
typedef struct tc_instrument {
    uint64_t ts_ns;
    uint16_t kind;
    uint8_t cont;
    uint8_t reserved0;
    uint32_t reserved1;
    uint32_t reserved2;
    uint32_t instrument_id;
    uint32_t base_asset;
    uint32_t quote_asset;   /* also the settlement asset of a linear instrument */
    int64_t tick;           /* px must be a multiple */
    int64_t lot;            /* order_qty must be a multiple */
    int64_t min_order_qty;
    int64_t max_order_qty;  /* 0 = TC_MAX_QTY */
    int64_t min_notional;   /* quote units, 0 = off */
    int64_t multiplier;     /* quote units per (tick * lot) */
    int64_t base_per_lot;   /* base units per lot (spot) */
    int64_t band_ref_px;    /* static reference: price band filter and static breaker; 0 = none */
    uint32_t band_up_ppm;   /* filter: px above ref*(1+up) is rejected; 0 = off */
    uint32_t band_down_ppm;
    uint32_t static_band_ppm;  /* breaker around the static reference; 0 = off */
    uint32_t dynamic_band_ppm; /* breaker around the last trade before the command; 0 = off */
    uint64_t halt_ns;       /* breaker: time HALTED, then AUCTION */
    uint64_t auction_ns;    /* breaker: time in the reopening auction, then uncross */
    int32_t maker_fee_ppm;  /* negative = rebate */
    int32_t taker_fee_ppm;
    uint32_t max_iceberg_parts; /* ceil(order_qty / display_qty) at most; 0 = 100 */
    uint32_t max_trailing;  /* trailing stops alive at once; 0 = 256 */
    int64_t min_alloc;      /* pro-rata: smaller shares become 0 */
    uint8_t algo;
    uint8_t alloc_top;
    uint8_t stop_election;
    uint8_t stop_policy;
    uint8_t trigger;
    uint8_t phase;          /* initial phase; ignored when the instrument exists */
    uint8_t instrument_type;
    uint8_t reserved3;
    tc_margin_tier tiers[4];   /* linear only, ascending */
    uint32_t liq_fee_ppm;   /* of the closed notional, to the insurance account */
    uint32_t liq_band_ppm;  /* width of the first closing IOC around the mark; round k uses k+1 times */
    uint32_t insurance_account; /* 0 = none: straight to auto-deleverage */
    uint32_t mark_max_age_ms;   /* an older mark suspends liquidation; 0 = never stale */
    uint64_t reserved4;
    uint64_t reserved5;
} tc_instrument;

enum tc_limit_field {
    TC_LIM_ORDER_QTY = 1,
    TC_LIM_ORDER_NOTIONAL = 2,
    TC_LIM_POSITION = 4,
    TC_LIM_GROSS_NOTIONAL = 8,
    TC_LIM_OPEN_ORDERS = 16,
    TC_LIM_RATE = 32,
    TC_LIM_DUPLICATE = 64,
    TC_LIM_COLLAR = 128,
    TC_LIM_STALE = 256
};

/* LIMITS: two frames (cont = 1).  Only fields named in `mask` are changed. A limit of 0 = off. */
typedef struct tc_limits {
    uint64_t ts_ns;
    uint16_t kind;
    uint8_t cont;
    uint8_t reserved0;
    uint8_t reserved1;
    uint8_t reserved2;
    uint8_t scope;          /* tc_scope: account, group, firm */
    uint8_t reserved3;
    uint32_t account_id;
    uint32_t instrument_id; /* must be 0: limits are per node, the position limit per instrument */
    uint32_t group_id;
    uint32_t mask;          /* tc_limit_field */
    int64_t max_order_qty;
    int64_t max_order_notional;
    int64_t max_position_qty;    /* |position| with working orders, per instrument */
    int64_t max_gross_notional;  /* notional of all working orders */
    int64_t max_open_orders;
    uint32_t rate_per_s;    /* token bucket on log time */
    uint32_t rate_burst;
    uint64_t duplicate_window_ns;
    uint32_t duplicate_count; /* identical orders allowed inside the window */
    uint32_t collar_ppm;    /* limit px at most this far from mark (or last) on the losing side */
    uint64_t stale_ns;      /* refuse when now - sent_ts_ns is larger */
    uint64_t reserved4;
    uint64_t reserved5;
    uint64_t reserved6;
} tc_limits;

/* ---- events ------------------------------------------------------------------------------ */

/* First 32 bytes of every event. */
typedef struct tc_event {
    uint64_t seq;           /* dense over the life of the engine */
    uint64_t order_id;      /* subject; FILL: the taker; 0 where no order is meant */
    uint32_t account_id;
    uint32_t instrument_id;
    uint8_t kind;
    uint8_t side;
    uint16_t status;        /* tc_status.def: why */
    uint32_t in_seq;        /* low 32 bits of the input sequence number of the causing command */
    uint64_t body0;
    uint64_t body1;
    uint64_t body2;
    uint64_t body3;
} tc_event;

typedef struct tc_order_event {
    uint64_t seq;
    uint64_t order_id;
    uint32_t account_id;
    uint32_t instrument_id;
    uint8_t kind;
    uint8_t side;
    uint16_t status;
    uint32_t in_seq;
    int64_t px;
    int64_t order_qty;
    int64_t cum_qty;
    int64_t leaves_qty;     /* canceled_qty = order_qty - cum_qty - leaves_qty */
} tc_order_event;

typedef struct tc_fill_event {
    uint64_t seq;
    uint64_t order_id;      /* taker */
    uint32_t account_id;    /* taker */
    uint32_t instrument_id;
    uint8_t kind;
    uint8_t side;           /* taker */
    uint16_t status;
    uint32_t in_seq;
    int64_t last_px;
    int64_t last_qty;
    uint64_t maker_order_id;
    uint32_t maker_account_id;
    uint32_t flags;         /* tc_fill_flag */
} tc_fill_event;

typedef struct tc_settle_event {
    uint64_t seq;
    uint64_t order_id;
    uint32_t account_id;
    uint32_t instrument_id;
    uint8_t kind;
    uint8_t side;
    uint16_t status;
    uint32_t in_seq;
    int64_t cash_delta;     /* quote units, fee included */
    int64_t fee;            /* quote units, negative = rebate */
    int64_t position_qty;   /* lots after the fill */
    int64_t realised_pnl;   /* quote units, of this fill, fee not included */
} tc_settle_event;

typedef struct tc_reject_event {
    uint64_t seq;
    uint64_t order_id;
    uint32_t account_id;
    uint32_t instrument_id;
    uint8_t kind;
    uint8_t side;
    uint16_t status;
    uint32_t in_seq;
    int64_t observed;       /* the value that broke the rule */
    int64_t limit;          /* the rule's value */
    uint16_t command_kind;
    uint8_t scope;          /* tc_scope of the limit, 0 where none */
    uint8_t reserved0;
    uint32_t reserved1;
    uint64_t reserved2;
} tc_reject_event;

typedef struct tc_market_event {
    uint64_t seq;
    uint64_t order_id;      /* 0 */
    uint32_t account_id;    /* 0 */
    uint32_t instrument_id;
    uint8_t kind;
    uint8_t side;
    uint16_t status;
    uint32_t in_seq;
    int64_t last_px;        /* AUCTION: uncross price (0 none); PHASE: last trade */
    int64_t volume;         /* AUCTION: lots executed */
    int64_t surplus;        /* AUCTION: buy minus sell quantity executable at the price */
    uint8_t phase;          /* phase from now on */
    uint8_t reserved0;
    uint16_t reserved1;
    uint32_t reserved2;
} tc_market_event;

typedef struct tc_balance_event {
    uint64_t seq;
    uint64_t order_id;      /* 0 */
    uint32_t account_id;
    uint32_t instrument_id; /* 0 unless the movement belongs to a position */
    uint8_t kind;
    uint8_t side;
    uint16_t status;
    uint32_t in_seq;
    int64_t amount;         /* signed change of the account's cash */
    int64_t balance;        /* cash after it */
    uint32_t asset_id;
    uint16_t command_kind;  /* what caused it: DEPOSIT, WITHDRAW, TRANSFER, FUNDING, MARK_PRICE ... */
    uint16_t reserved0;
    uint64_t reserved1;
} tc_balance_event;

typedef struct tc_account_event {
    uint64_t seq;
    uint64_t order_id;      /* 0 */
    uint32_t account_id;
    uint32_t instrument_id; /* isolated: the position's instrument; cross: TC_ANY */
    uint8_t kind;
    uint8_t side;
    uint16_t status;
    uint32_t in_seq;
    int64_t equity;
    int64_t initial_margin;
    int64_t maintenance_margin;
    uint8_t state;          /* tc_account_state now */
    uint8_t previous_state;
    uint16_t reserved0;
    uint32_t asset_id;
} tc_account_event;

/* ---- frames of a cell -------------------------------------------------------------------- */

/* Head of everything that one record of the input log made; status says why nothing was applied. */
typedef struct tc_batch_event {
    uint64_t seq;           /* of this frame in its topic: executions or market-data */
    uint64_t order_id;      /* 0 */
    uint32_t account_id;    /* 0 */
    uint32_t instrument_id; /* 0 */
    uint8_t kind;
    uint8_t side;           /* 0 */
    uint16_t status;
    uint32_t in_seq;        /* low 32 bits of the engine's input number after the record */
    uint64_t ts_ns;         /* engine time after the record */
    uint64_t in_offset;     /* of the record in trading-commands */
    uint64_t in_first_seq;  /* of its envelope; 0 where none could be read */
    uint32_t in_source;     /* of its envelope; 0 where none could be read */
    uint32_t count;         /* frames behind this one that belong to the record */
} tc_batch_event;

/* An order id of this account came again; nothing was applied. status is that of the first answer,
 * or REPEATED_OTHER_TERMS. */
typedef struct tc_repeat_event {
    uint64_t seq;           /* 0: not an event of the engine */
    uint64_t order_id;      /* a list: its first member */
    uint32_t account_id;
    uint32_t instrument_id;
    uint8_t kind;
    uint8_t side;
    uint16_t status;
    uint32_t in_seq;        /* 0 */
    uint64_t answer_seq;    /* seq of the event that answered first */
    uint64_t answer_ts_ns;  /* engine time after the record with that event */
    uint8_t answer_kind;    /* ACCEPTED or REJECTED */
    uint8_t reserved0;
    uint16_t answer_status; /* also where the terms differ */
    uint32_t reserved1;
    uint64_t reserved2;
} tc_repeat_event;

/* One fill, without names. */
typedef struct tc_trade_event {
    uint64_t seq;           /* of this frame in market-data */
    uint64_t order_id;      /* 0 */
    uint32_t account_id;    /* 0 */
    uint32_t instrument_id;
    uint8_t kind;
    uint8_t side;           /* of the aggressor */
    uint16_t status;
    uint32_t in_seq;
    int64_t last_px;
    int64_t last_qty;
    uint64_t ts_ns;
    uint32_t flags;         /* tc_fill_flag: AUCTION, LIQUIDATION, ADL */
    uint32_t reserved0;
} tc_trade_event;

/* Best prices after a record that changed them; quantity 0 = no order on that side. */
typedef struct tc_quote_event {
    uint64_t seq;           /* of this frame in market-data */
    uint64_t order_id;      /* 0 */
    uint32_t account_id;    /* 0 */
    uint32_t instrument_id;
    uint8_t kind;
    uint8_t side;           /* 0 */
    uint16_t status;
    uint32_t in_seq;
    int64_t bid_px;
    int64_t bid_qty;
    int64_t ask_px;
    int64_t ask_qty;
} tc_quote_event;

/* One level of a depth picture: buy side best first, then sell side. An empty side is one frame of
 * index 0 without orders, so index 0 always begins the side anew. */
typedef struct tc_level_event {
    uint64_t seq;           /* of this frame in market-data */
    uint64_t order_id;      /* 0 */
    uint32_t account_id;    /* 0 */
    uint32_t instrument_id;
    uint8_t kind;
    uint8_t side;
    uint16_t status;
    uint32_t in_seq;
    int64_t px;
    int64_t qty;            /* visible lots */
    uint32_t orders;
    uint32_t index;         /* 0 = best */
    uint64_t ts_ns;
} tc_level_event;

/* The canonical state hash of a cell behind one record. */
typedef struct tc_audit_event {
    uint64_t seq;           /* of this frame in audit-logs */
    uint64_t order_id;      /* offset of the record in trading-commands */
    uint32_t account_id;    /* 0 */
    uint32_t instrument_id; /* 0 */
    uint8_t kind;
    uint8_t side;           /* 0 */
    uint16_t status;
    uint32_t in_seq;        /* low 32 bits of the engine's input number */
    uint64_t hash0;         /* bytes 0-7 of the hash, as they stand */
    uint64_t hash1;
    uint64_t hash2;
    uint64_t hash3;
} tc_audit_event;

/* ---- what the compiler must agree with --------------------------------------------------- */

#ifdef __cplusplus
#define TC_ASSERT(c, m) static_assert(c, m)
#else
#define TC_ASSERT(c, m) _Static_assert(c, m)
#endif
TC_ASSERT(sizeof(tc_command) == 64, "tc_command");
TC_ASSERT(sizeof(tc_terms) == 64, "tc_terms");
TC_ASSERT(sizeof(tc_list) == 64, "tc_list");
TC_ASSERT(sizeof(tc_admin) == 64, "tc_admin");
TC_ASSERT(sizeof(tc_margin_tier) == 16, "tc_margin_tier");
TC_ASSERT(sizeof(tc_instrument) == 256, "tc_instrument");
TC_ASSERT(sizeof(tc_limits) == 128, "tc_limits");
TC_ASSERT(sizeof(tc_event) == 64, "tc_event");
TC_ASSERT(sizeof(tc_order_event) == 64, "tc_order_event");
TC_ASSERT(sizeof(tc_fill_event) == 64, "tc_fill_event");
TC_ASSERT(sizeof(tc_settle_event) == 64, "tc_settle_event");
TC_ASSERT(sizeof(tc_reject_event) == 64, "tc_reject_event");
TC_ASSERT(sizeof(tc_market_event) == 64, "tc_market_event");
TC_ASSERT(sizeof(tc_balance_event) == 64, "tc_balance_event");
TC_ASSERT(sizeof(tc_account_event) == 64, "tc_account_event");
TC_ASSERT(sizeof(tc_batch_event) == 64, "tc_batch_event");
TC_ASSERT(sizeof(tc_repeat_event) == 64, "tc_repeat_event");
TC_ASSERT(sizeof(tc_trade_event) == 64, "tc_trade_event");
TC_ASSERT(sizeof(tc_quote_event) == 64, "tc_quote_event");
TC_ASSERT(sizeof(tc_level_event) == 64, "tc_level_event");
TC_ASSERT(sizeof(tc_audit_event) == 64, "tc_audit_event");
TC_ASSERT(offsetof(tc_command, kind) == 8 && offsetof(tc_admin, kind) == 8, "kind");
TC_ASSERT(offsetof(tc_terms, kind) == 8 && offsetof(tc_list, kind) == 8, "kind");
TC_ASSERT(offsetof(tc_instrument, kind) == 8 && offsetof(tc_limits, kind) == 8, "kind");
TC_ASSERT(offsetof(tc_command, account_id) == 16 && offsetof(tc_admin, account_id) == 16, "account");
TC_ASSERT(offsetof(tc_event, kind) == 24 && offsetof(tc_fill_event, kind) == 24, "event kind");

#endif
