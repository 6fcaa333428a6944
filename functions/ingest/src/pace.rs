//! How fast tenants send: token buckets that may run into debt.
//!
//! A request is let in while its tenant's buckets hold anything, and then takes what it brought, be it more than was there. So a
//! request of any size passes once (a burst that is smaller than a request would refuse it for ever, W4), a refusal neither keeps nor
//! decodes a body, and on the whole nobody is faster than its rate. A process knows what it received itself; on Lambda that is one
//! environment's part (docs/0016).

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use model::limits::{IngestRates, Rate};
use model::{TenantId, TimestampMs};

/// Tenants remembered. Beyond, those whose buckets are full are forgotten: a full bucket is what a new one is.
const TENANTS_MANY: usize = 10_000;

/// Everybody's buckets.
#[derive(Debug, Default)]
pub struct Pace {
    tenants: Mutex<HashMap<TenantId, Buckets>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Buckets {
    requests: Bucket,
    samples: Bucket,
    bytes: Bucket,
}

/// What is missing to the burst: nothing at first.
#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    taken: f64,
    at: TimestampMs,
    /// By what it fills; 0 where there is no such limit, and nobody asks what it holds.
    per_second: f64,
}

/// A tenant sends too fast.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[error("tenant sends more than {rate} {unit} a second, send it again in {} s", retry_after.as_secs())]
pub struct TooFast {
    /// What there is too much of.
    pub unit: &'static str,
    /// The limit.
    pub rate: f64,
    /// When there is room again, whole seconds.
    pub retry_after: Duration,
}

impl Bucket {
    /// Fills up to now.
    fn fill(&mut self, rate: &Rate, now: TimestampMs) {
        self.per_second = rate.per_second;
        self.taken = self.taken_at(now);
        self.at = now;
    }

    /// Returns what is missing at a time.
    fn taken_at(&self, now: TimestampMs) -> f64 {
        let seconds = now.0.saturating_sub(self.at.0).max(0) as f64 / 1000.0;
        (self.taken - seconds * self.per_second).max(0.0)
    }

    /// Returns the time until there is room; `None` where there is some.
    fn wait(&self, rate: &Rate) -> Option<Duration> {
        let missing = self.taken - rate.burst;
        // At least a second: that is what a header can say. At most an hour, so that a limit raised meanwhile is noticed.
        (missing >= 0.0).then(|| Duration::from_secs((missing / rate.per_second).floor().clamp(0.0, 3599.0) as u64 + 1))
    }
}

impl Pace {
    /// Lets a request in, and counts it.
    ///
    /// # Errors
    /// Names what comes too fast, and when there will be room.
    pub fn admit(&self, tenant: &TenantId, rates: &IngestRates, now: TimestampMs) -> Result<(), TooFast> {
        if rates.is_unbounded() {
            return Ok(());
        }
        let mut tenants = self.tenants.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if tenants.len() >= TENANTS_MANY && !tenants.contains_key(tenant) {
            tenants.retain(|_, buckets| !buckets.is_full(now));
        }
        let buckets = tenants.entry(tenant.clone()).or_default();
        for (bucket, rate, unit) in buckets.bounded(rates) {
            bucket.fill(rate, now);
            if let Some(retry_after) = bucket.wait(rate) {
                return Err(TooFast { unit, rate: rate.per_second, retry_after });
            }
        }
        buckets.requests.taken += 1.0;
        Ok(())
    }

    /// Takes what a request that was let in has brought.
    pub fn charge(&self, tenant: &TenantId, rates: &IngestRates, samples: usize, bytes: usize) {
        if rates.is_unbounded() {
            return;
        }
        let mut tenants = self.tenants.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(buckets) = tenants.get_mut(tenant) {
            buckets.samples.taken += samples as f64;
            buckets.bytes.taken += bytes as f64;
        }
    }
}

impl Buckets {
    fn bounded<'b>(&'b mut self, rates: &'b IngestRates) -> impl Iterator<Item = (&'b mut Bucket, &'b Rate, &'static str)> {
        let all = [
            (&mut self.requests, &rates.requests, "requests"),
            (&mut self.samples, &rates.samples, "samples"),
            (&mut self.bytes, &rates.bytes, "bytes"),
        ];
        all.into_iter().filter_map(|(bucket, rate, unit)| rate.as_ref().map(|rate| (bucket, rate, unit)))
    }

    fn is_full(&self, now: TimestampMs) -> bool {
        let bounded = |bucket: &&Bucket| bucket.per_second > 0.0;
        [self.requests, self.samples, self.bytes].iter().filter(bounded).all(|bucket| bucket.taken_at(now) == 0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(requests: Option<(f64, f64)>, samples: Option<(f64, f64)>, bytes: Option<(f64, f64)>) -> IngestRates {
        let rate = |(per_second, burst)| Rate { per_second, burst };
        IngestRates { requests: requests.map(rate), samples: samples.map(rate), bytes: bytes.map(rate) }
    }

    fn told(pace: &Pace, rates: &IngestRates, at_ms: i64) -> Option<(&'static str, u64)> {
        let admitted = pace.admit(&TenantId::anonymous(), rates, TimestampMs(at_ms));
        admitted.err().map(|refused| (refused.unit, refused.retry_after.as_secs()))
    }

    #[test]
    fn requests_are_bounded_by_second_and_burst() {
        let (pace, rates) = (Pace::default(), rates(Some((2.0, 3.0)), None, None));
        let answers: Vec<_> = (0..4).map(|_| told(&pace, &rates, 1000)).collect();
        assert_eq!(answers, [None, None, None, Some(("requests", 1))]);
        assert_eq!(told(&pace, &rates, 1500), None, "half a second is a request");
        assert_eq!(told(&pace, &rates, 1500), Some(("requests", 1)));
        assert_eq!(told(&pace, &rates, 0), Some(("requests", 1)), "a clock that is set back gives nothing");
    }

    #[test]
    fn a_request_larger_than_the_burst_passes_and_is_paid_for() {
        let (pace, rates, tenant) = (Pace::default(), rates(None, Some((100.0, 10.0)), None), TenantId::anonymous());
        assert_eq!(told(&pace, &rates, 0), None);
        pace.charge(&tenant, &rates, 1010, 1);
        assert_eq!(told(&pace, &rates, 0), Some(("samples", 11)));
        assert_eq!(told(&pace, &rates, 10_000), Some(("samples", 1)));
        assert_eq!(told(&pace, &rates, 10_010), None);
    }

    #[test]
    fn each_tenant_has_its_own() {
        let (pace, rates) = (Pace::default(), rates(Some((1.0, 1.0)), None, Some((1e6, 1e6))));
        let tenant = |n: usize| TenantId::parse(&format!("t{n}")).unwrap();
        assert!(pace.admit(&tenant(0), &rates, TimestampMs(0)).is_ok());
        assert!(pace.admit(&tenant(0), &rates, TimestampMs(0)).is_err());
        assert!(pace.admit(&tenant(1), &rates, TimestampMs(0)).is_ok());
        pace.charge(&tenant(1), &rates, 0, 2_000_000);
        let refused = pace.admit(&tenant(1), &rates, TimestampMs(1000)).unwrap_err();
        assert_eq!(refused.to_string(), "tenant sends more than 1000000 bytes a second, send it again in 1 s");
    }

    #[test]
    fn of_many_tenants_those_in_debt_are_remembered() {
        let (pace, rates) = (Pace::default(), rates(None, Some((1.0, 1.0)), None));
        let tenant = |n: usize| TenantId::parse(&format!("t{n}")).unwrap();
        for n in 0..TENANTS_MANY {
            assert!(pace.admit(&tenant(n), &rates, TimestampMs(0)).is_ok());
            pace.charge(&tenant(n), &rates, if n == 0 { 60 } else { 1 }, 0);
        }
        assert!(pace.admit(&tenant(TENANTS_MANY), &rates, TimestampMs(1000)).is_ok());
        assert_eq!(pace.tenants.lock().unwrap().len(), 2, "who is in debt, and who is new");
        assert!(pace.admit(&tenant(0), &rates, TimestampMs(1000)).is_err());
    }

    #[test]
    fn nobody_is_remembered_without_a_limit() {
        let (pace, rates) = (Pace::default(), IngestRates::default());
        assert!(pace.admit(&TenantId::anonymous(), &rates, TimestampMs(0)).is_ok());
        pace.charge(&TenantId::anonymous(), &rates, 1, 1);
        assert!(pace.tenants.lock().unwrap().is_empty());
    }
}
