-- Equity over log time, and trading sessions. The rules of 001 hold: hash-partitioned by user_id,
-- which begins every primary key, ready for Citus.

CREATE TABLE equity (                   -- at multiples of the sampling interval, at last prints
    user_id   bigint NOT NULL,
    cell      bigint NOT NULL,
    ts_ns     bigint NOT NULL,
    asset_id  bigint NOT NULL,          -- what everything is valued in
    cash      bigint NOT NULL,          -- value of all balances
    upnl      bigint NOT NULL,          -- of linear positions
    equity    bigint NOT NULL,          -- cash + upnl
    unpriced  bigint NOT NULL,          -- rows left out because nothing says what they are worth
    seq       bigint NOT NULL,          -- of the last event of the user before it
    PRIMARY KEY (user_id, cell, ts_ns)
) PARTITION BY HASH (user_id);

CREATE TABLE sessions (                 -- one run of one bot, or one login
    user_id       bigint NOT NULL,
    session_id    bigint NOT NULL,
    account_id    bigint NOT NULL,
    label         text   NOT NULL,
    opened_ts_ns  bigint NOT NULL,      -- 0: only its end was seen
    closed_ts_ns  bigint NOT NULL,      -- 0: open
    PRIMARY KEY (user_id, session_id)
) PARTITION BY HASH (user_id);

DO $$
DECLARE
    name text;
    part integer;
BEGIN
    FOREACH name IN ARRAY ARRAY['equity', 'sessions'] LOOP
        FOR part IN 0..7 LOOP
            EXECUTE format(
                'CREATE TABLE %I PARTITION OF %I FOR VALUES WITH (MODULUS 8, REMAINDER %s)',
                name || '_' || part, name, part
            );
        END LOOP;
    END LOOP;
END
$$;
