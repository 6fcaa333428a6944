//! The `stats` of a query answer: every group clients index into, zero where it does not apply here.

use std::time::Duration;

use crate::json_text::{plain_float, write_to};

/// What a query read and how long it took.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    /// Bytes of lines read.
    pub bytes_processed: u64,
    /// Lines read.
    pub lines_processed: u64,
    /// Lines left by the pipeline's filters.
    pub lines_kept: u64,
    /// Lines or points returned.
    pub entries_returned: u64,
    /// Segments whose rows were looked at.
    pub segments: u64,
    /// Bytes fetched from the object store.
    pub bytes_fetched: u64,
    /// Row groups that have rows of the streams asked for.
    pub row_groups: u64,
    /// Of these, the ones that token filters ruled out.
    pub row_groups_pruned: u64,
    /// Time waited for a free place.
    pub queue_time: Duration,
    /// Time to evaluate.
    pub exec_time: Duration,
}

const CACHES: [&str; 8] =
    ["chunk", "index", "result", "statsResult", "volumeResult", "seriesResult", "labelResult", "instantMetricResult"];

impl Stats {
    /// Writes the object.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.write_summary(out);
        out.extend_from_slice(b",\"querier\":{");
        self.write_store(out, self);
        out.extend_from_slice(
            b"},\"ingester\":{\"totalReached\":0,\"totalChunksMatched\":0,\"totalBatches\":0,\"totalLinesSent\":0,",
        );
        self.write_store(out, &Stats::default());
        out.extend_from_slice(b"},\"cache\":{");
        for (index, cache) in CACHES.iter().enumerate() {
            crate::json_text::comma(out, index);
            write_to(out, format_args!("\"{cache}\":{{"));
            let counts =
                ["entriesFound", "entriesRequested", "entriesStored", "bytesReceived", "bytesSent", "requests", "downloadTime"];
            for count in counts {
                write_to(out, format_args!("\"{count}\":0,"));
            }
            out.extend_from_slice(b"\"queryLengthServed\":0}");
        }
        out.extend_from_slice(b"},");
        self.write_index(out);
    }

    /// Writes `"index":{…}`, where Loki tells what its Bloom filters ruled out: here they are token filters of row groups.
    fn write_index(&self, out: &mut Vec<u8>) {
        let kept = self.row_groups.saturating_sub(self.row_groups_pruned);
        write_to(
            out,
            format_args!(
                "\"index\":{{\"totalChunks\":{},\"postFilterChunks\":{kept},\"shardsDuration\":0,\"usedBloomFilters\":{}}}}}",
                self.row_groups,
                self.row_groups_pruned > 0
            ),
        );
    }

    fn write_summary(&self, out: &mut Vec<u8>) {
        let per_second = |count: u64| match self.exec_time.as_secs_f64() {
            0.0 => 0,
            seconds => (count as f64 / seconds) as u64,
        };
        let counts = [
            ("bytesProcessedPerSecond", per_second(self.bytes_processed)),
            ("linesProcessedPerSecond", per_second(self.lines_processed)),
            ("totalBytesProcessed", self.bytes_processed),
            ("totalLinesProcessed", self.lines_processed),
            ("totalEntriesReturned", self.entries_returned),
            ("totalPostFilterLines", self.lines_kept),
            ("totalStructuredMetadataBytesProcessed", 0),
            ("splits", 0),
            ("shards", 0),
            ("subqueries", 0),
        ];
        out.extend_from_slice(b"{\"summary\":{");
        for (name, count) in counts {
            write_to(out, format_args!("\"{name}\":{count},"));
        }
        for (index, (name, time)) in [("execTime", self.exec_time), ("queueTime", self.queue_time)].into_iter().enumerate() {
            crate::json_text::comma(out, index);
            write_to(out, format_args!("\"{name}\":"));
            plain_float(out, time.as_secs_f64());
        }
        out.push(b'}');
    }

    /// Writes `"store":{…}` of the querier or the ingester; ours has no ingester to ask.
    fn write_store(&self, out: &mut Vec<u8>, read: &Stats) {
        write_to(
            out,
            format_args!(
                concat!(
                    "\"store\":{{\"totalChunksRef\":{0},\"totalChunksDownloaded\":{0},\"chunksDownloadTime\":0,",
                    "\"queryReferencedStructuredMetadata\":false,\"queryUsedV2Engine\":false,\"chunk\":{{\"headChunkBytes\":0,",
                    "\"headChunkLines\":0,\"headChunkStructuredMetadataBytes\":0,\"decompressedBytes\":{1},\"decompressedLines\":{2},",
                    "\"decompressedStructuredMetadataBytes\":0,\"compressedBytes\":{3},\"totalDuplicates\":0,\"postFilterLines\":{4}}},",
                    "\"chunkRefsFetchTime\":0,\"congestionControlLatency\":0,\"pipelineWrapperFilteredLines\":0}}"
                ),
                read.segments, read.bytes_processed, read.lines_processed, read.bytes_fetched, read.lines_kept
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_group_is_there() {
        let stats = Stats {
            bytes_processed: 100,
            lines_processed: 4,
            exec_time: Duration::from_millis(500),
            row_groups: 48,
            row_groups_pruned: 41,
            ..Stats::default()
        };
        let mut out = Vec::new();
        stats.write(&mut out);
        let json: serde_json::Value = serde_json::from_slice(&out).expect("valid JSON");
        assert_eq!(json["summary"]["bytesProcessedPerSecond"], 200);
        assert_eq!(json["summary"]["execTime"], 0.5);
        assert_eq!(json["querier"]["store"]["chunk"]["decompressedLines"], 4);
        assert_eq!(json["index"]["totalChunks"], 48);
        assert_eq!(json["index"]["postFilterChunks"], 7);
        assert_eq!(json["index"]["usedBloomFilters"], true);
        assert_eq!(json["ingester"]["store"]["chunk"]["decompressedLines"], 0);
        for cache in CACHES {
            assert_eq!(json["cache"][cache]["requests"], 0);
        }
    }
}
