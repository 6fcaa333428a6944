//! Which epoch of the ring an event hour is in, known without a request per write.
//!
//! An epoch is written at least [`ACTIVATION_DELAY_MIN`] before the hour it begins with: a ring read later than that says for
//! good which epoch the hour is in. So a process reads the ring once an hour.

use std::sync::{Arc, RwLock};

use manifest::Manifest;
use manifest::ring::{ACTIVATION_DELAY_MIN, Ring};
use model::{Clock, ErrorKind, Hour, TimestampMs};

/// The ring as this process read it last. Clones share it.
#[derive(Clone, Debug)]
pub struct Epochs {
    manifest: Manifest,
    clock: Arc<dyn Clock>,
    known: Arc<RwLock<Known>>,
    /// Held while the ring is read, so that one of many concurrent writes does.
    reading: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Debug, Default)]
struct Known {
    ring: Ring,
    read_at: Option<TimestampMs>,
}

impl Known {
    /// Returns the hour's epoch, unless the ring should be read again first.
    fn at(&self, hour: Hour, now: TimestampMs) -> Option<u32> {
        let settled_from = hour.start().minus(ACTIVATION_DELAY_MIN);
        // Before an hour is settled, a ring read again says no more than the one known.
        let fresh = self.read_at.is_some_and(|read_at| read_at >= settled_from || now < settled_from);
        fresh.then(|| self.ring.at(hour).number)
    }
}

impl Epochs {
    /// Makes a view that knows nothing yet.
    pub fn new(manifest: Manifest, clock: Arc<dyn Clock>) -> Epochs {
        Epochs { manifest, clock, known: Arc::default(), reading: Arc::default() }
    }

    fn known(&self, hour: Hour) -> Option<u32> {
        self.known.read().expect("no call panics while it holds the lock").at(hour, self.clock.now())
    }

    /// Returns the number of the epoch in force at an hour.
    ///
    /// # Errors
    /// Those of the record store. A ring that does not decode is logged and the one known before stays: no read is addressed
    /// by the ring, so that it is no reason to refuse writes.
    pub async fn at(&self, hour: Hour) -> manifest::Result<u32> {
        if let Some(number) = self.known(hour) {
            return Ok(number);
        }
        let _reading = self.reading.lock().await;
        if let Some(number) = self.known(hour) {
            return Ok(number);
        }
        let read_at = self.clock.now();
        let ring = match self.manifest.ring().await {
            Ok(ring) => Some(ring),
            Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Invalid) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "ring is not readable, the one known before is recorded"
                );
                None
            }
            Err(error) => return Err(error),
        };
        let mut known = self.known.write().expect("no call panics while it holds the lock");
        known.read_at = Some(read_at);
        if let Some(ring) = ring {
            known.ring = ring;
        }
        Ok(known.ring.at(hour).number)
    }
}
