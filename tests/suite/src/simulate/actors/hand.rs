//! The steps of a compaction and of a collection by hand: what a mistake changes is their order.

use super::super::mutation::{Mutation, Role};
use super::super::world::{World, object_key};
use bytes::Bytes;
use manifest::{Error, Location, Manifest, ObjectKey, Part, Replaced, Replacement, Window};
use model::{Clock, MetricBatch, Resolution, Signal, TenantId, TimestampMs};
use segment::merge::{self, MergeOptions};
use segment::{Encoded, Fetched, metrics};
use store::objects::{ObjectPath, ObjectStoreExt};
use testkit::simulation::Process;

/// One actor at work on one tenant and signal.
pub struct Hand<'w> {
    /// The world.
    pub world: &'w World,
    /// Where it works.
    pub process: &'w Process,
    /// Whose data.
    pub tenant: &'w TenantId,
    /// Of what.
    pub signal: Signal,
}

/// A merge to be made.
pub struct Rewrite {
    /// The window whose head lists the output.
    pub window: Window,
    /// The generation of that head as planned on.
    pub generation: u64,
    /// What is merged.
    pub inputs: Vec<Part>,
    /// Level of the outputs.
    pub level: u8,
    /// The ring's epoch for the window.
    pub epoch: u32,
}

impl Hand<'_> {
    /// Returns the manifest of the process.
    pub fn manifest(&self, role: Role) -> Manifest {
        self.world.manifest(self.process, role)
    }

    /// Merges, puts and publishes; also returns the keys of what was put.
    pub async fn rewrite(&self, manifest: &Manifest, rewrite: Rewrite) -> Option<(Result<Replaced, Error>, Vec<String>)> {
        let mut bytes = Vec::new();
        for input in &rewrite.inputs {
            bytes.push(self.read(input).await?);
        }
        let mut outputs = Vec::new();
        for encoded in self.merge(&bytes)? {
            outputs.push(self.put(&rewrite, encoded).await?);
        }
        let keys = outputs.iter().filter_map(object_key).cloned().collect();
        let Rewrite { window, generation, inputs, .. } = rewrite;
        let replacement = Replacement { window, resolution: Resolution::Raw, generation, inputs: inputs.clone(), outputs };
        let replaced = manifest.replace(self.tenant, self.signal, replacement).await;
        if let Ok(Replaced::Replaced) = replaced {
            let _ = manifest.delete_inputs(self.tenant, self.signal, window, &inputs).await;
        }
        Some((replaced, keys))
    }

    /// Reads an object.
    pub async fn read(&self, input: &Part) -> Option<Bytes> {
        match &input.location {
            Location::Inline(bytes) => Some(bytes.clone()),
            Location::Object { key, .. } => {
                let found = self.world.objects(self.process).get(&ObjectPath::from(key.as_str())).await.ok()?;
                found.bytes().await.ok()
            }
        }
    }

    fn merge(&self, inputs: &[Bytes]) -> Option<Vec<Encoded>> {
        let mut outputs = Vec::new();
        let options = MergeOptions::default();
        let mut emit = |output| outputs.push(output);
        let merged = match self.signal {
            Signal::Metrics => merge::metrics(inputs, &options, &mut emit),
            Signal::Logs => merge::logs(inputs, &options, &mut emit),
        };
        let outputs = merged.is_ok().then_some(outputs)?;
        if self.world.mutation == Some(Mutation::MergeWithoutHistograms) && self.signal == Signal::Metrics {
            return outputs.into_iter().map(|output| self.without_histograms(&output.bytes)).collect();
        }
        Some(outputs)
    }

    /// The mistake: of samples only floats are written.
    fn without_histograms(&self, merged: &Bytes) -> Option<Encoded> {
        let index = metrics::Index::open(merged).ok()?;
        let all = index.all();
        let columns = index.decode(&all, metrics::Projection::ALL, &Fetched::whole(merged.clone())).ok()?;
        let mut batch = MetricBatch::default();
        for (place, series) in all.iter().enumerate() {
            batch.start_series_of(&series.labels);
            let samples = columns.series(place);
            for (at, value) in samples.timestamps.iter().zip(samples.values) {
                batch.push_sample(TimestampMs(*at), *value, TimestampMs(0));
            }
        }
        segment::l0::encode_metrics(self.tenant, &batch).ok()
    }

    /// Puts an output.
    pub async fn put(&self, rewrite: &Rewrite, encoded: Encoded) -> Option<Part> {
        let nonces = self.world.nonces(self.process);
        let (tenant, signal, window, level) = (self.tenant.clone(), self.signal, rewrite.window, rewrite.level);
        let (id, nonce, resolution) = (nonces.segment_id(), nonces.next(), Resolution::Raw);
        let key = ObjectKey { tenant, signal, window, resolution, level, id, nonce };
        let len = encoded.bytes.len() as u64;
        self.world.objects(self.process).put(&key.path(), encoded.bytes.into()).await.ok()?;
        Some(Part {
            id,
            level,
            resolution,
            window,
            location: Location::Object { key: key.to_string(), len },
            tail_offset: encoded.tail_offset,
            stats: compactor::part_stats(&encoded.stats, window, rewrite.epoch),
            minted_at: self.process.now(),
            sources: Vec::new(),
            applied: Vec::new(),
        })
    }

    /// Collects a window: deletes what is dead, then forgets it.
    pub async fn collect(&self, manifest: &Manifest, window: Window) -> Option<()> {
        let dead = manifest.collect_window(self.tenant, self.signal, window).await.ok()?;
        let keys: Vec<String> = dead.into_iter().map(|object| object.key).collect();
        if self.delete(&keys).await {
            manifest.forget_dead(self.tenant, self.signal, window, &keys).await.ok()?;
        }
        Some(())
    }

    /// Deletes objects; `false` where one may be left.
    pub async fn delete(&self, keys: &[String]) -> bool {
        let objects = self.world.objects(self.process);
        for key in keys {
            if objects.delete(&ObjectPath::from(key.as_str())).await.is_err() {
                return false;
            }
        }
        true
    }
}
