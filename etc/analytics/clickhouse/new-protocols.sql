-- SPDX-License-Identifier: Apache-2.0
--
-- What a host speaks on a day (UTC) that it did not in the 30 days before: clickhouse-client --param_day=2026-11-22 < new-protocols.sql
-- A host that was not there at all before has `known` 0: all it speaks is new. Guesses from ports and addresses do not count.
-- Doubles do no harm here but to `records`.
WITH toDate(start) = {day:Date} AS on_day
SELECT host,
       app,
       records,
       first,
       known
FROM
(
    SELECT src_ip AS host,
           app,
           countIf(on_day) AS records,
           countIf(NOT on_day) AS records_before,
           minIf(start, on_day) AS first,
           sum(records_before) OVER (PARTITION BY host) > 0 AS known
    FROM l7.flows
    WHERE toDate(start) BETWEEN {day:Date} - 30 AND {day:Date}
      AND confidence NOT IN ('none', 'port', 'ip')
    GROUP BY host, app
)
WHERE records > 0 AND records_before = 0
ORDER BY host, first, app;
