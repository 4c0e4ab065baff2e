-- Where each consumer stands, and what people own. Plain PostgreSQL 15 and later.
--
-- Tables of people are hash-partitioned by user_id, and every primary key begins with it: nothing
-- joins or constrains rows of two users, so the same schema distributes over Citus by user_id as it
-- is (create_distributed_table in place of the partitions). Small tables without user_id are
-- reference tables there. All money is bigint, in smallest units; no column is a float.

CREATE TABLE consumer_offset (          -- one row for each reader of a log partition
    consumer     text    NOT NULL,      -- 'portfolio', 'sessions'
    partition    integer NOT NULL,
    next_offset  bigint  NOT NULL,      -- record of the topic to read next
    next_seq     bigint  NOT NULL,      -- number of the first frame that was not applied
    ts_ns        bigint  NOT NULL,      -- log time of the last one that was
    PRIMARY KEY (consumer, partition)
);

CREATE TABLE assets (                   -- copy of the catalog
    asset_id  bigint  PRIMARY KEY,
    code      text    NOT NULL,
    decimals  integer NOT NULL
);

CREATE TABLE instruments (              -- copy of the catalog
    instrument_id  bigint PRIMARY KEY,
    symbol         text   NOT NULL,
    base_asset     bigint NOT NULL,
    quote_asset    bigint NOT NULL,
    multiplier     bigint NOT NULL,     -- smallest quote units per tick and lot
    base_per_lot   bigint NOT NULL,     -- smallest base units per lot; 0: linear
    px_unit        text   NOT NULL,     -- what one tick is, in natural notation
    qty_unit       text   NOT NULL      -- what one lot is
);

CREATE TABLE accounts (                 -- accounts that are not their own user; others need no row
    user_id     bigint NOT NULL,
    account_id  bigint NOT NULL,
    PRIMARY KEY (user_id, account_id)
) PARTITION BY HASH (user_id);

CREATE TABLE fills (                    -- one side of one fill
    user_id        bigint   NOT NULL,
    cell           bigint   NOT NULL,
    seq            bigint   NOT NULL,   -- of the SETTLED event in the cell
    account_id     bigint   NOT NULL,
    instrument_id  bigint   NOT NULL,
    session_id     bigint   NOT NULL,   -- of the order; 0: an order of the engine
    order_id       bigint   NOT NULL,   -- ids from 2^63 on (the engine's own) stand as id - 2^64
    side           smallint NOT NULL,   -- 1 buy, 2 sell
    role           smallint NOT NULL,   -- 1 taker, 2 maker; the FILL event is seq - role
    flags          integer  NOT NULL,
    status         smallint NOT NULL,   -- 0; 325 takeover, 326 auto-deleverage
    px             bigint   NOT NULL,   -- ticks
    qty            bigint   NOT NULL,   -- lots
    fee            bigint   NOT NULL,   -- quote units; negative: a rebate
    cash_delta     bigint   NOT NULL,   -- quote units, fee included
    base_delta     bigint   NOT NULL,   -- base units; 0: linear
    realised       bigint   NOT NULL,   -- quote units, fee not included
    position_qty   bigint   NOT NULL,   -- lots after the fill
    ts_ns          bigint   NOT NULL,   -- log time
    PRIMARY KEY (user_id, cell, seq)
) PARTITION BY HASH (user_id);

CREATE TABLE ledger (                   -- movements of cash that are not fills
    user_id        bigint   NOT NULL,
    cell           bigint   NOT NULL,
    seq            bigint   NOT NULL,   -- of the BALANCE event in the cell
    account_id     bigint   NOT NULL,
    asset_id       bigint   NOT NULL,
    instrument_id  bigint   NOT NULL,   -- 0: none
    command_kind   smallint NOT NULL,   -- what caused it
    status         smallint NOT NULL,
    cash_delta     bigint   NOT NULL,
    margin_delta   bigint   NOT NULL,   -- moved into isolated margin
    balance_after  bigint   NOT NULL,   -- as the engine said it
    ts_ns          bigint   NOT NULL,
    PRIMARY KEY (user_id, cell, seq)
) PARTITION BY HASH (user_id);

CREATE TABLE positions (
    user_id        bigint NOT NULL,
    cell           bigint NOT NULL,
    account_id     bigint NOT NULL,
    instrument_id  bigint NOT NULL,
    qty            bigint NOT NULL,     -- signed lots
    cost           bigint NOT NULL,     -- signed quote units
    realised       bigint NOT NULL,
    fees           bigint NOT NULL,
    bought         bigint NOT NULL,     -- lots, ever
    sold           bigint NOT NULL,
    fills          bigint NOT NULL,     -- rows of table fills behind this one
    seq            bigint NOT NULL,     -- of the last of them
    ts_ns          bigint NOT NULL,
    PRIMARY KEY (user_id, cell, account_id, instrument_id)
) PARTITION BY HASH (user_id);

CREATE TABLE balances (                 -- wallet and isolated margins together
    user_id     bigint NOT NULL,
    cell        bigint NOT NULL,
    account_id  bigint NOT NULL,
    asset_id    bigint NOT NULL,
    amount      bigint NOT NULL,
    seq         bigint NOT NULL,        -- of the last event that moved it
    ts_ns       bigint NOT NULL,
    PRIMARY KEY (user_id, cell, account_id, asset_id)
) PARTITION BY HASH (user_id);

CREATE TABLE marks (                    -- last trade of each instrument
    cell           bigint NOT NULL,
    instrument_id  bigint NOT NULL,
    px             bigint NOT NULL,
    seq            bigint NOT NULL,
    ts_ns          bigint NOT NULL,
    PRIMARY KEY (cell, instrument_id)
);

-- Rows that are updated again and again leave room on their page, so that no index entry is
-- rewritten with them.
DO $$
DECLARE
    name text;
    part integer;
BEGIN
    FOREACH name IN ARRAY ARRAY['accounts', 'fills', 'ledger', 'positions', 'balances'] LOOP
        FOR part IN 0..7 LOOP
            EXECUTE format(
                'CREATE TABLE %I PARTITION OF %I FOR VALUES WITH (MODULUS 8, REMAINDER %s)%s',
                name || '_' || part, name, part,
                CASE WHEN name IN ('positions', 'balances') THEN ' WITH (fillfactor = 70)' ELSE '' END
            );
        END LOOP;
    END LOOP;
END
$$;
