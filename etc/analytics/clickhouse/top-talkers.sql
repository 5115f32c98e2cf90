-- SPDX-License-Identifier: Apache-2.0
--
-- Who moves most with which application on a day (UTC): clickhouse-client --param_day=2026-11-22 < top-talkers.sql
-- A host is who began the flow. Octets are those of IP packets, as seen: where sampling is not 1, times that.
SELECT src_ip AS host,
       application,
       sum(octets) AS sent,
       sum(rev_octets) AS received,
       sent + received AS both,
       uniqExact(flow_id) AS flows
FROM l7.flows FINAL
WHERE toDate(start) = {day:Date}
GROUP BY host, application
ORDER BY both DESC, host, application
LIMIT 50;
