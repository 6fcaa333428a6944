//! Exemplars and metadata of a metrics segment: a frame in the tail.

use model::labels::put_varint;
use model::{Exemplar, LabelSet, MetricKind, MetricMetadata, TimestampMs};

use crate::SegmentError;
use crate::cursor::{Cursor, put_bytes, put_zigzag};

/// An exemplar of the series with the given ordinal.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OrdinalExemplar {
    pub(crate) ordinal: u32,
    pub(crate) exemplar: Exemplar,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Extras {
    pub(crate) exemplars: Vec<OrdinalExemplar>,
    pub(crate) metadata: Vec<MetricMetadata>,
}

const KINDS: [MetricKind; 8] = [
    MetricKind::Unknown,
    MetricKind::Counter,
    MetricKind::Gauge,
    MetricKind::Histogram,
    MetricKind::GaugeHistogram,
    MetricKind::Summary,
    MetricKind::Info,
    MetricKind::StateSet,
];

impl Extras {
    /// Sorts and leaves out repeats.
    pub(crate) fn settle(&mut self) {
        self.exemplars.sort_by(|a, b| {
            let key = |e: &OrdinalExemplar| (e.ordinal, e.exemplar.timestamp, e.exemplar.value.to_bits());
            key(a).cmp(&key(b)).then_with(|| a.exemplar.labels.encoded().cmp(b.exemplar.labels.encoded()))
        });
        self.exemplars.dedup_by(|a, b| {
            a.ordinal == b.ordinal
                && a.exemplar.timestamp == b.exemplar.timestamp
                && a.exemplar.value.to_bits() == b.exemplar.value.to_bits()
                && a.exemplar.labels == b.exemplar.labels
        });
        self.metadata.sort();
        self.metadata.dedup();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.exemplars.is_empty() && self.metadata.is_empty()
    }

    /// Returns first and last exemplar time.
    pub(crate) fn times(&self) -> Option<(i64, i64)> {
        let times = || self.exemplars.iter().map(|exemplar| exemplar.exemplar.timestamp.0);
        Some((times().min()?, times().max()?))
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, self.exemplars.len() as u64);
        for OrdinalExemplar { ordinal, exemplar } in &self.exemplars {
            put_varint(&mut out, u64::from(*ordinal));
            put_zigzag(&mut out, exemplar.timestamp.0);
            out.extend_from_slice(&exemplar.value.to_le_bytes());
            put_bytes(&mut out, exemplar.labels.encoded());
        }
        put_varint(&mut out, self.metadata.len() as u64);
        for metadata in &self.metadata {
            out.push(KINDS.iter().position(|kind| *kind == metadata.kind).unwrap_or(0) as u8);
            [&metadata.metric, &metadata.help, &metadata.unit].into_iter().for_each(|text| put_bytes(&mut out, text.as_bytes()));
        }
        out
    }

    /// Decodes what belongs to the series that `wanted` names, and all metadata.
    pub(crate) fn decode(raw: &[u8], series: usize, wanted: &dyn Fn(u32) -> bool) -> Result<Extras, SegmentError> {
        let mut cursor = Cursor::new(raw, "exemplars and metadata");
        let count = cursor.count()?;
        let mut extras = Extras::default();
        for _ in 0..count {
            let ordinal = cursor.u32_varint()?;
            if ordinal as usize >= series {
                return Err(cursor.fail("name a series that is not there"));
            }
            let timestamp = TimestampMs(cursor.zigzag()?);
            let value = cursor.f64()?;
            let labels = cursor.bytes()?;
            if !wanted(ordinal) {
                continue;
            }
            let labels = LabelSet::from_encoded(labels).map_err(|_| cursor.fail("have bad labels"))?;
            extras.exemplars.push(OrdinalExemplar { ordinal, exemplar: Exemplar { labels, value, timestamp } });
        }
        let count = cursor.count()?;
        for _ in 0..count {
            let kind = KINDS.get(cursor.u8()? as usize).copied().ok_or_else(|| cursor.fail("have an unknown metric type"))?;
            let mut text = || cursor.text().map(str::to_owned);
            extras.metadata.push(MetricMetadata { kind, metric: text()?, help: text()?, unit: text()? });
        }
        cursor.finish()?;
        Ok(extras)
    }
}
