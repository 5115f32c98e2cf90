#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Spark Structured Streaming: octets of each host and application per minute, each record counted once, into Parquet files.

    spark-submit --packages org.apache.spark:spark-sql-kafka-0-10_2.13:VERSION flows.py --brokers b1:9092,b2:9092 --topic flows \
        --checkpoint /data/checkpoint --out /data/sums

VERSION is that of your Spark. What the keys mean is in docs/fields.md. Without --out the sums are printed.
"""
import argparse

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

# A key that is not listed is skipped, and what a record does not have is NULL. Identifiers of 64 bits are text: BIGINT does not hold
# them, and a string in a column of numbers would be read as NULL.
SCHEMA = """
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
    record_sequence STRING
"""

LATE = "2 minutes"  # how much later than others a record may come and still count
AHEAD_MS = 5 * 60 * 1000  # a clock that is ahead by more would make everybody else's records late


def records(raw):
    """Flow records of messages (column `value`). What is none, or is from the future, is left out; the query's progress counts it."""
    parsed = raw.select(F.from_json(F.col("value").cast("string"), SCHEMA).alias("r")).select("r.*")
    broken = F.col("stream_id").isNull() | F.col("record_sequence").isNull() | F.col("end_ms").isNull()
    ahead = ~broken & (F.col("end_ms") > F.unix_millis(F.current_timestamp()) + AHEAD_MS)
    counted = parsed.observe("input", F.count(F.lit(1)).alias("messages"), F.count_if(broken).alias("broken"),
                             F.count_if(ahead).alias("ahead"))
    # A time of 292 million years is an error to timestamp_millis(), which would end the query.
    return counted.where(~broken & ~ahead).withColumn("seen", F.when(~ahead, F.timestamp_millis("end_ms")))


def sums(flows):
    """
    Per minute, host (who began the flow) and application. A record is made when its last packet is a while ago, so its end is
    near the time it is written. A double has the same end: what is remembered of records goes when the watermark has passed it.
    """
    once = flows.withWatermark("seen", LATE).dropDuplicates(["exporter", "stream_id", "record_sequence", "seen"])
    return once.groupBy(F.window("seen", "1 minute").alias("minute"), F.col("src_ip").alias("host"), "application").agg(
        F.count(F.lit(1)).alias("records"), F.try_sum("octets").alias("sent"), F.try_sum("rev_octets").alias("received"))


def main():
    parser = argparse.ArgumentParser(description="Sums of flow records per minute, host and application.")
    parser.add_argument("--brokers", required=True, help="host:port, several joined by commas")
    parser.add_argument("--topic", default="flows")
    parser.add_argument("--checkpoint", required=True, help="folder that keeps offsets and state across restarts")
    parser.add_argument("--out", help="folder for Parquet files; printed if left out")
    options = parser.parse_args()

    spark = SparkSession.builder.appName("l7-flows").getOrCreate()
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    raw = (spark.readStream.format("kafka").option("kafka.bootstrap.servers", options.brokers)
           .option("subscribe", options.topic).option("startingOffsets", "earliest").load())
    query = sums(records(raw)).writeStream.outputMode("append").option("checkpointLocation", options.checkpoint)
    if options.out:
        query = query.format("parquet").option("path", options.out)
    else:
        query = query.format("console").option("truncate", "false")
    query.start().awaitTermination()


if __name__ == "__main__":
    main()
