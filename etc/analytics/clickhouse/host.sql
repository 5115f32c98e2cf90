-- SPDX-License-Identifier: Apache-2.0
--
-- What a host spoke on a day (UTC), as client and as server, each record once however often it was written:
-- clickhouse-client --param_host=192.0.2.10 --param_day=2026-11-22 < host.sql
-- A flow has one record or more; each has only what came since the one before, so that sums over all of them are the flow's.
SELECT if(src_ip = {host:String}, 'client', 'server') AS side,
       app,
       count() AS records,
       uniqExact(flow_id) AS flows,
       sum(if(side = 'client', octets, rev_octets)) AS sent,
       sum(if(side = 'client', rev_octets, octets)) AS received,
       uniqExact(if(side = 'client', dst_ip, src_ip)) AS peers
FROM
(
    SELECT *
    FROM l7.flows
    WHERE (src_ip = {host:String} OR dst_ip = {host:String}) AND toDate(start) = {day:Date}
    LIMIT 1 BY exporter, stream_id, record_sequence
)
GROUP BY side, app
ORDER BY sent + received DESC, side, app;
