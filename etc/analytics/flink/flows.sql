-- SPDX-License-Identifier: Apache-2.0
--
-- Flink SQL: octets of each host and application per minute, each record counted once: sql-client.sh -f flows.sql
-- Needs the Kafka connector of your version of Flink in its lib folder. What the keys mean is in docs/fields.md; a key that is
-- not listed is skipped, and what a record does not have is NULL. Identifiers of 64 bits are text: BIGINT does not hold them.

-- A partition that brings nothing for so long does not hold the others' windows back.
SET 'table.exec.source.idle-timeout' = '30 s';

CREATE TABLE flows (
    flow_id         STRING,
    exporter        STRING,
    start_ms        BIGINT,
    end_ms          BIGINT,
    src_ip          STRING,
    dst_ip          STRING,
    src_port        INT,
    dst_port        INT,
    protocol        SMALLINT,
    packets         BIGINT,
    octets          BIGINT,
    rev_packets     BIGINT,
    rev_octets      BIGINT,
    sampling        BIGINT,
    state           STRING,
    app             STRING,
    master          STRING,
    application     STRING,
    category        STRING,
    confidence      STRING,
    risk_score      INT,
    sni             STRING,
    dns_query       STRING,
    stream_id       STRING,
    record_sequence STRING,
    -- A record is made when its last packet is a while ago, so its end is near the time it is written; its start may be a minute back.
    -- A clock that is ahead would make everybody else's records late: such a time, like none, is 1970, which comes too late.
    seen AS TO_TIMESTAMP_LTZ(CASE WHEN end_ms <= 1000 * UNIX_TIMESTAMP() + 300000 THEN end_ms ELSE 0 END, 3),
    WATERMARK FOR seen AS seen - INTERVAL '2' MINUTE
) WITH (
    'connector' = 'kafka',
    'topic' = 'flows',
    'properties.bootstrap.servers' = 'b1:9092,b2:9092,b3:9092',
    'properties.group.id' = 'flink',
    'properties.auto.offset.reset' = 'earliest',
    'scan.startup.mode' = 'group-offsets',
    'format' = 'json',
    'json.ignore-parse-errors' = 'true'
);

CREATE TABLE sums (
    window_start TIMESTAMP(3),
    window_end   TIMESTAMP(3),
    host         STRING,
    application  STRING,
    records      BIGINT,
    sent         BIGINT,
    received     BIGINT
) WITH (
    'connector' = 'kafka',
    'topic' = 'flow-sums',
    'properties.bootstrap.servers' = 'b1:9092,b2:9092,b3:9092',
    'format' = 'json'
);

-- A double has the same time, hence the same window: what is remembered of records goes with their window.
CREATE TEMPORARY VIEW once AS
SELECT *
FROM (
    SELECT *, ROW_NUMBER() OVER (
        PARTITION BY window_start, window_end, exporter, stream_id, record_sequence
        ORDER BY seen) AS copy
    FROM TABLE(TUMBLE(TABLE flows, DESCRIPTOR(seen), INTERVAL '1' MINUTE))
)
WHERE copy = 1;

INSERT INTO sums
SELECT window_start, window_end, src_ip, application, COUNT(*), SUM(octets), SUM(rev_octets)
FROM once
GROUP BY window_start, window_end, src_ip, application;
