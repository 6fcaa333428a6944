//! `meta.json`: what a block covers, and what Thanos adds to it.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::BlockError;
use super::limits::META_BYTES_MAX;

const WHAT: &str = "meta.json";
/// Version of the file since Prometheus 2.0; Thanos writes the same.
const VERSION: u8 = 1;

/// What is read of the file; the rest is of no use to a reader.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Meta {
    /// The block's id: 26 digits of a ULID.
    pub ulid: String,
    /// First instant, milliseconds.
    pub min_time: i64,
    /// First instant after the block, milliseconds.
    pub max_time: i64,
    version: u8,
    #[serde(default)]
    stats: Stats,
    /// What Thanos adds.
    pub thanos: Option<Thanos>,
}

#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Stats {
    num_samples: u64,
}

/// Thanos's section (upstream `pkg/block/metadata`).
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Thanos {
    /// External labels of the Prometheus that wrote the block.
    pub labels: BTreeMap<String, String>,
    downsample: Downsample,
}

#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(default)]
struct Downsample {
    resolution: i64,
}

impl Meta {
    /// Decodes the file.
    pub fn decode(bytes: &[u8]) -> Result<Meta, BlockError> {
        if bytes.len() > META_BYTES_MAX {
            return Err(BlockError::TooLarge { what: WHAT, bytes: bytes.len() as u64, limit: META_BYTES_MAX });
        }
        let meta: Meta = serde_json::from_slice(bytes).map_err(|error| BlockError::corrupt(WHAT, error.to_string()))?;
        if meta.version != VERSION {
            return Err(BlockError::Version { what: WHAT, version: meta.version });
        }
        if !is_ulid(&meta.ulid) {
            return Err(BlockError::corrupt(WHAT, format!("{:?} is not a block id", meta.ulid)));
        }
        if meta.max_time < meta.min_time {
            return Err(BlockError::corrupt(WHAT, format!("it ends at {} and begins at {}", meta.max_time, meta.min_time)));
        }
        Ok(meta)
    }

    /// Returns how many samples the writer counted; 0 where it did not.
    pub fn samples(&self) -> u64 {
        self.stats.num_samples
    }

    /// Returns the span of one of Thanos's downsampled windows, milliseconds; 0 for samples as they were scraped.
    pub fn downsampled_ms(&self) -> i64 {
        self.thanos.as_ref().map_or(0, |thanos| thanos.downsample.resolution)
    }
}

/// Reports whether a name is that of a block: 26 digits of Crockford's base 32.
pub fn is_ulid(name: &str) -> bool {
    name.len() == 26 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'Z') && !b"ILOU".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ULID: &str = "01GTMDG2R6DQ0E0VAFH4MGG8BE";

    #[test]
    fn thanos_adds_labels_and_a_resolution() {
        let text = format!(
            r#"{{"ulid":"{ULID}","minTime":1,"maxTime":9,"version":1,"stats":{{"numSamples":5,"numSeries":1}},
                "compaction":{{"level":1}},"thanos":{{"version":1,"labels":{{"replica":"a"}},"downsample":{{"resolution":300000}}}}}}"#
        );
        let meta = Meta::decode(text.as_bytes()).unwrap();
        assert_eq!((meta.min_time, meta.max_time, meta.samples(), meta.downsampled_ms()), (1, 9, 5, 300_000));
        assert_eq!(meta.thanos.unwrap().labels["replica"], "a");
    }

    #[test]
    fn what_cannot_be_is_named() {
        for (text, error) in [
            (
                r#"{"ulid":"../x","minTime":0,"maxTime":1,"version":1}"#.to_owned(),
                "meta.json is corrupt: \"../x\" is not a block id",
            ),
            (
                format!(r#"{{"ulid":"{ULID}","minTime":2,"maxTime":1,"version":1}}"#),
                "meta.json is corrupt: it ends at 1 and begins at 2",
            ),
            (
                format!(r#"{{"ulid":"{ULID}","minTime":0,"maxTime":1,"version":2}}"#),
                "meta.json is of version 2, which is not known",
            ),
            ("{".to_owned(), "meta.json is corrupt: EOF while parsing an object at line 1 column 1"),
        ] {
            assert_eq!(Meta::decode(text.as_bytes()).unwrap_err().to_string(), error);
        }
    }
}
