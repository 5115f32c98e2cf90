-- SPDX-License-Identifier: Apache-2.0
--
-- Flow records of l7probe (kafka://...?format=json) in ClickHouse: a table that reads the topic, one that keeps the records, and one
-- for what was not kept. What the keys mean is in docs/fields.md. A key that is not listed here is skipped; to keep one more, add it
-- to both tables (the view takes all). Texts that a record does not have are '', numbers NULL: absent is not 0.

CREATE DATABASE IF NOT EXISTS l7;

-- Reads the topic. Records are objects with 64-bit identifiers as strings of digits, which UInt64 takes. A message that is none does
-- not stop the reading: it goes to l7.refused. Several servers of one group share the partitions.
CREATE TABLE IF NOT EXISTS l7.flows_queue
(
    flow_id          UInt64,
    exporter         LowCardinality(String),
    interface        LowCardinality(String),
    start_ms         UInt64,
    end_ms           UInt64,
    src_ip           String,
    dst_ip           String,
    src_mac          String,
    dst_mac          String,
    src_port         UInt16,
    dst_port         UInt16,
    protocol         UInt8,
    vlan_id          Nullable(UInt16),
    packets          UInt64,
    octets           UInt64,
    rev_packets      UInt64,
    rev_octets       UInt64,
    tcp_flags        Nullable(UInt16),
    rev_tcp_flags    Nullable(UInt16),
    rtt_client_us    Nullable(UInt32),
    rtt_server_us    Nullable(UInt32),
    retransmits      Nullable(UInt32),
    rev_retransmits  Nullable(UInt32),
    icmp_type_code   Nullable(UInt16),
    end_reason       LowCardinality(String),
    biflow_direction Nullable(UInt8),
    sampling         UInt32,
    state            LowCardinality(String),
    app              LowCardinality(String),
    master           LowCardinality(String),
    application      LowCardinality(String),
    category         LowCardinality(String),
    confidence       LowCardinality(String),
    master_confidence LowCardinality(String),
    risk_score       Nullable(UInt16),
    risks            UInt64, -- bits; no risk is 0
    risk_names       String,
    sni              String,
    tls_version      Nullable(UInt16),
    alpn             LowCardinality(String),
    ja3c             String,
    ja3s             String,
    tls_issuer       String,
    tls_subject      String,
    tls_not_after    Nullable(UInt32),
    quic_version     Nullable(UInt32),
    http_host        String,
    http_method      LowCardinality(String),
    http_url         String,
    http_status      Nullable(UInt16),
    http_user_agent  String,
    dns_query        String,
    dns_query_type   Nullable(UInt16),
    dns_answer_code  Nullable(UInt8),
    dns_answers      Nullable(UInt16),
    ssh_client       String,
    ssh_server       String,
    ssh_hassh_client String,
    ssh_hassh_server String,
    community_id     String,
    stream_id        UInt64,
    record_sequence  UInt64
)
ENGINE = Kafka
SETTINGS kafka_broker_list = 'b1:9092,b2:9092,b3:9092',
         kafka_topic_list = 'flows',
         kafka_group_name = 'clickhouse',
         kafka_format = 'JSONEachRow',
         kafka_num_consumers = 1, -- at most one per partition and per core
         kafka_handle_error_mode = 'stream';

-- Keeps them. The order answers "what did this host speak, and when"; the bloom filter finds a host as the server. The same record
-- read twice has the same key in the same partition, so that merges drop doubles; a query that must not see those that are not merged
-- yet says FINAL, or LIMIT 1 BY exporter, stream_id, record_sequence.
CREATE TABLE IF NOT EXISTS l7.flows
(
    flow_id          UInt64,
    exporter         LowCardinality(String),
    interface        LowCardinality(String),
    start            DateTime64(3, 'UTC') CODEC(Delta, ZSTD),
    end              DateTime64(3, 'UTC') CODEC(Delta, ZSTD),
    src_ip           String,
    dst_ip           String,
    src_mac          String,
    dst_mac          String,
    src_port         UInt16,
    dst_port         UInt16,
    protocol         UInt8,
    vlan_id          Nullable(UInt16),
    packets          UInt64,
    octets           UInt64,
    rev_packets      UInt64,
    rev_octets       UInt64,
    tcp_flags        Nullable(UInt16),
    rev_tcp_flags    Nullable(UInt16),
    rtt_client_us    Nullable(UInt32),
    rtt_server_us    Nullable(UInt32),
    retransmits      Nullable(UInt32),
    rev_retransmits  Nullable(UInt32),
    icmp_type_code   Nullable(UInt16),
    end_reason       LowCardinality(String),
    biflow_direction Nullable(UInt8),
    sampling         UInt32,
    state            LowCardinality(String),
    app              LowCardinality(String),
    master           LowCardinality(String),
    application      LowCardinality(String),
    category         LowCardinality(String),
    confidence       LowCardinality(String),
    master_confidence LowCardinality(String),
    risk_score       Nullable(UInt16),
    risks            UInt64,
    risk_names       String,
    sni              String,
    tls_version      Nullable(UInt16),
    alpn             LowCardinality(String),
    ja3c             String,
    ja3s             String,
    tls_issuer       String,
    tls_subject      String,
    tls_not_after    Nullable(UInt32),
    quic_version     Nullable(UInt32),
    http_host        String,
    http_method      LowCardinality(String),
    http_url         String,
    http_status      Nullable(UInt16),
    http_user_agent  String,
    dns_query        String,
    dns_query_type   Nullable(UInt16),
    dns_answer_code  Nullable(UInt8),
    dns_answers      Nullable(UInt16),
    ssh_client       String,
    ssh_server       String,
    ssh_hassh_client String,
    ssh_hassh_server String,
    community_id     String,
    stream_id        UInt64,
    record_sequence  UInt64,
    INDEX by_server dst_ip TYPE bloom_filter(0.01) GRANULARITY 4
)
ENGINE = ReplacingMergeTree
PARTITION BY toDate(start)
PRIMARY KEY (src_ip, application)
ORDER BY (src_ip, application, start, exporter, stream_id, record_sequence)
-- TTL toDateTime(start) + INTERVAL 90 DAY DELETE -- to forget: without the first two dashes
SETTINGS ttl_only_drop_parts = 1;

-- What was not kept, and where in the topic it is.
CREATE TABLE IF NOT EXISTS l7.refused
(
    received  DateTime DEFAULT now(),
    why       String,
    topic     LowCardinality(String),
    partition UInt64,
    offset    UInt64,
    message   String
)
ENGINE = MergeTree
ORDER BY received
TTL received + INTERVAL 30 DAY DELETE;

-- Times from 90 days ago to a day ahead are kept: each day is a partition, and with more than 100 of them in one block (a probe with a
-- wild clock, an old capture played) ClickHouse takes none of it and reads it again for ever. To load old captures, make the 90 more.
CREATE MATERIALIZED VIEW IF NOT EXISTS l7.flows_keep TO l7.flows AS
SELECT * EXCEPT (start_ms, end_ms),
       fromUnixTimestamp64Milli(start_ms, 'UTC') AS start,
       fromUnixTimestamp64Milli(end_ms, 'UTC') AS end
FROM l7.flows_queue
WHERE _error = ''
  AND start_ms >= 1000 * toUnixTimestamp(now() - INTERVAL 90 DAY)
  AND start_ms <= end_ms
  AND end_ms <= 1000 * toUnixTimestamp(now() + INTERVAL 1 DAY);

CREATE MATERIALIZED VIEW IF NOT EXISTS l7.flows_refuse TO l7.refused AS
SELECT if(_error = '', concat('time: start_ms ', toString(start_ms), ', end_ms ', toString(end_ms), ' of ', exporter), _error) AS why,
       _topic AS topic,
       _partition AS partition,
       _offset AS offset,
       _raw_message AS message
FROM l7.flows_queue
WHERE NOT (_error = ''
  AND start_ms >= 1000 * toUnixTimestamp(now() - INTERVAL 90 DAY)
  AND start_ms <= end_ms
  AND end_ms <= 1000 * toUnixTimestamp(now() + INTERVAL 1 DAY));
