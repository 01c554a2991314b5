-- What the application writes to while its tenant moves.
CREATE TABLE accounts (
    tenant_id  text,
    account_id integer,
    balance    bigint NOT NULL DEFAULT 0,
    filler     text NOT NULL DEFAULT repeat('x', 84),
    PRIMARY KEY (tenant_id, account_id)
);
CREATE TABLE history (
    tenant_id  text,
    entry      text,
    account_id integer NOT NULL,
    amount     bigint NOT NULL,
    at         timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, entry)
);
