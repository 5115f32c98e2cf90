-- SPDX-License-Identifier: Apache-2.0
--
-- Hosts that spoke Telegram or another private messenger inside TLS or QUIC on a day (UTC):
-- clickhouse-client --param_day=2026-11-22 < messengers.sql
-- The messengers are those of etc/rules.d/messengers.yaml. Names that only the address or the port suggests do not count, nor does a
-- name that was only looked up (DNS.Telegram).
SELECT src_ip AS host,
       app,
       uniqExact(flow_id) AS flows,
       sum(octets) AS sent,
       sum(rev_octets) AS received,
       min(start) AS first,
       max(end) AS last,
       arraySort(groupUniqArrayIf(10)(sni, sni != '')) AS names
FROM l7.flows FINAL
WHERE toDate(start) = {day:Date}
  AND master IN ('TLS', 'QUIC')
  AND application IN ('Telegram', 'WhatsApp', 'WhatsAppCall', 'WhatsAppFiles', 'Signal', 'SignalVoip', 'Viber', 'WeChat', 'KakaoTalk',
                      'KakaoTalk_Voice', 'Snapchat', 'SnapchatCall', 'IMO', 'Discord', 'Messenger', 'FacebookVoip')
  AND confidence NOT IN ('none', 'port', 'ip')
GROUP BY host, app
ORDER BY flows DESC, host, app;
