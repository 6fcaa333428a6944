//! A small store made by the real writer and the real compactor, all in memory, at a time of ours.

use std::sync::Arc;
use std::time::Duration;

use appender::Writer;
use boot::{Config, Host};
use model::time::HOUR_MS;
use model::{Signal, TenantId, TimestampMs};
use store::objects::{ObjectPath, ObjectStoreExt};
use store::{RecordKey, objects, records};
use testkit::{LogBatchBuilder, MetricBatchBuilder, SimulatedClock};

/// 2026-11-21 12:20 UTC.
pub const NOW: TimestampMs = TimestampMs((20_778 * 24 + 12) * HOUR_MS + 20 * 60_000);
/// How old what is merged was by then.
const AGE: Duration = Duration::from_secs(10 * 60);
/// The hour that is closed and merged.
pub const MERGED: i64 = 20_778 * 24 + 11;
/// The hour that is open.
pub const OPEN: i64 = 20_778 * 24 + 12;

pub struct World {
    pub host: Host,
    pub clock: SimulatedClock,
}

pub fn anonymous() -> TenantId {
    TenantId::parse("anonymous").expect("valid")
}

impl World {
    /// Hour 11: three writes of metrics, merged into one segment. Hour 12: a large and a small write of metrics, one of logs.
    pub async fn small() -> World {
        // A few segments of a closed hour are merged once they are old enough.
        let clock = SimulatedClock::at(NOW.minus(AGE));
        let host = Host::over(Config::memory(), objects::memory(), records::memory(), Arc::new(clock.clone()), 7);
        let world = World { host, clock };
        for minute in 0..3 {
            world.write_metrics(MERGED, minute, 40, 0).await;
        }
        world.clock.advance(AGE);
        let state = fn_compact::State::new(&world.host);
        let report = fn_compact::run_once(&state, NOW.plus(Duration::from_secs(600)), &[]).await.expect("memory does not fail");
        assert_eq!((report.inputs, report.failed), (3, 0), "{report:?}");
        world.write_metrics(OPEN, 0, 40, 0).await;
        world.write_metrics(OPEN, 1, 2, 1 << 20).await;
        world.write_logs(OPEN).await;
        world
    }

    /// Writes one sample of each of `series` series, in the record where it is at most `inline_bytes_max` long.
    pub async fn write_metrics(&self, hour: i64, minute: i64, series: usize, inline_bytes_max: usize) {
        let mut batch = MetricBatchBuilder::default();
        for index in 0..series {
            let host = format!("host-{}", index % 4);
            let name = format!("metric_{}", index / 4);
            let at = hour * HOUR_MS + minute * 60_000 + 1;
            batch = batch.series([("__name__", name.as_str()), ("host", host.as_str())], [(at, index as f64)]);
        }
        let batch = appender::Batch::Metrics(batch.build());
        self.writer(inline_bytes_max).write(&anonymous(), batch).await.expect("memory does not fail");
    }

    async fn write_logs(&self, hour: i64) {
        let at = hour * HOUR_MS * 1_000_000;
        let lines = [(at + 5, "level=info msg=\"order placed\""), (at + 6, "level=error msg=\"card refused\"")];
        let batch = LogBatchBuilder::default().stream([("app", "shop")], lines).build();
        self.writer(1 << 20).write(&anonymous(), appender::Batch::Logs(batch)).await.expect("memory does not fail");
    }

    fn writer(&self, inline_bytes_max: usize) -> Writer {
        let Host { objects, manifest, clock, nonces, .. } = &self.host;
        Writer::new(objects.clone(), manifest.clone(), clock.clone(), nonces.clone()).with_inline_bytes_max(inline_bytes_max)
    }

    /// Returns the key of the one live object of a level.
    pub async fn object(&self, level: u8) -> String {
        let listed = crate::tools::inventory::live(&self.host, &Default::default()).await.expect("memory does not fail");
        let found = listed.into_iter().filter(|listed| listed.part.level == level && listed.signal == Signal::Metrics);
        let mut keys = found.filter_map(|listed| match listed.part.location {
            manifest::Location::Object { key, .. } => Some(key),
            manifest::Location::Inline(_) => None,
        });
        let key = keys.next().expect("the fixture has one");
        assert_eq!(keys.next(), None, "the fixture has one only");
        key
    }

    /// Returns the level of what was merged: the highest there is.
    pub async fn merged_level(&self) -> u8 {
        let listed = crate::tools::inventory::live(&self.host, &Default::default()).await.expect("memory does not fail");
        listed.iter().map(|listed| listed.part.level).max().expect("the fixture has segments")
    }

    pub async fn bytes(&self, key: &str) -> Vec<u8> {
        let object = self.host.objects.get(&ObjectPath::from(key)).await.expect("the object is there");
        object.bytes().await.expect("memory does not fail").to_vec()
    }

    pub async fn put(&self, key: &str, bytes: Vec<u8>) {
        self.host.objects.put(&ObjectPath::from(key), bytes.into()).await.expect("memory does not fail");
    }

    pub async fn delete(&self, key: &str) {
        self.host.objects.delete(&ObjectPath::from(key)).await.expect("memory does not fail");
    }

    /// Replaces a record's bytes, or deletes it.
    pub async fn set_record(&self, key: &RecordKey, value: Option<bytes::Bytes>) {
        let version = self.host.records.get(key).await.expect("memory does not fail").expect("the record is there").version;
        match value {
            Some(value) => drop(self.host.records.cas_update(key, version, value).await.expect("memory does not fail")),
            None => drop(self.host.records.delete_if(key, version).await.expect("memory does not fail")),
        }
    }
}
