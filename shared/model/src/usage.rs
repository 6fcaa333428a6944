//! What was used of what Amazon bills by use, and who used it.
//!
//! Owns: amounts, their price, sums by tenant. Does not own: unit prices ([`crate::prices`]), what stays and is billed by the month.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Mutex;
use std::time::Duration;

use crate::TenantId;
use crate::prices::Prices;

/// Amounts. They may be parts: requests that share an object share its price.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub struct Usage {
    /// Objects written.
    pub object_puts: f64,
    /// Requests that read objects.
    pub object_gets: f64,
    /// Write units of records: each KB of an item.
    pub record_write_units: f64,
    /// Read units of records: each 4 KB.
    pub record_read_units: f64,
    /// Invocations of functions; none where a process serves.
    pub invocations: f64,
    /// GB-seconds of functions.
    pub gb_seconds: f64,
}

impl Usage {
    /// Returns what an invocation of a function with so much memory takes; nothing where a process serves.
    pub fn of_invocation(memory_mib: Option<u32>, took: Duration) -> Usage {
        let gb_seconds = |mib: u32| f64::from(mib) / 1024.0 * took.as_secs_f64();
        memory_mib.map_or(Usage::default(), |mib| Usage { invocations: 1.0, gb_seconds: gb_seconds(mib), ..Usage::default() })
    }

    /// Returns what it costs. Bytes between functions and S3 cost nothing inside a region.
    pub fn dollars(&self, prices: &Prices) -> f64 {
        self.object_puts * prices.s3_put
            + self.object_gets * prices.s3_get
            + self.record_write_units * prices.dynamodb_write_unit
            + self.record_read_units * prices.dynamodb_read_unit
            + self.invocations * prices.lambda_request
            + self.gb_seconds * prices.lambda_gb_second
    }
}

/// What dollars went for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Purpose {
    /// Taking data in.
    Write,
    /// Answering.
    Query,
}

impl Purpose {
    fn as_str(self) -> &'static str {
        match self {
            Purpose::Write => "write",
            Purpose::Query => "query",
        }
    }
}

/// Tenants told apart: each is two series, and without authentication clients make up tenants as they like.
const TENANTS_MAX: usize = 1_000;

/// Dollars by tenant since the process began.
#[derive(Debug, Default)]
pub struct Meter {
    dollars: Mutex<BTreeMap<(Option<TenantId>, Purpose), f64>>,
}

impl Meter {
    /// Adds to a tenant's sum; to nobody's where there are many tenants already.
    pub fn add(&self, tenant: &TenantId, purpose: Purpose, dollars: f64) {
        let mut sums = self.dollars.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let own = (Some(tenant.clone()), purpose);
        let key = if sums.len() < 2 * TENANTS_MAX || sums.contains_key(&own) { own } else { (None, purpose) };
        *sums.entry(key).or_default() += dollars;
    }

    /// Appends the sums in Prometheus's text format. The empty tenant has the sum of those that are not told apart.
    pub fn render(&self, out: &mut String) {
        out.push_str(
            "# HELP lamella_tenant_dollars_total What requests of a tenant cost at list prices, storage and compaction apart.\n",
        );
        out.push_str("# TYPE lamella_tenant_dollars_total counter\n");
        let sums = self.dollars.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        for ((tenant, purpose), dollars) in sums {
            let tenant = tenant.as_ref().map_or("", TenantId::as_str);
            // Writing to a string does not fail. A tenant's characters need no escape.
            let _ =
                writeln!(out, "lamella_tenant_dollars_total{{tenant=\"{tenant}\",purpose=\"{}\"}} {dollars}", purpose.as_str());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prices::US_EAST_1;

    #[test]
    fn each_amount_has_its_price() {
        let one = |set: fn(&mut Usage)| {
            let mut usage = Usage::default();
            set(&mut usage);
            usage.dollars(&US_EAST_1)
        };
        assert_eq!(one(|_| {}), 0.0);
        assert_eq!(one(|usage| usage.object_puts = 2.0), 2.0 * US_EAST_1.s3_put);
        assert_eq!(one(|usage| usage.object_gets = 2.0), 2.0 * US_EAST_1.s3_get);
        assert_eq!(one(|usage| usage.record_write_units = 2.0), 2.0 * US_EAST_1.dynamodb_write_unit);
        assert_eq!(one(|usage| usage.record_read_units = 2.0), 2.0 * US_EAST_1.dynamodb_read_unit);
        assert_eq!(one(|usage| usage.invocations = 2.0), 2.0 * US_EAST_1.lambda_request);
        assert_eq!(one(|usage| usage.gb_seconds = 2.0), 2.0 * US_EAST_1.lambda_gb_second);
    }

    #[test]
    fn sums_are_by_tenant_and_bounded() {
        let meter = Meter::default();
        let tenant = |n: usize| TenantId::parse(&format!("t{n}")).unwrap();
        for n in 0..3 * TENANTS_MAX {
            meter.add(&tenant(n), Purpose::Write, 1.0);
        }
        meter.add(&tenant(0), Purpose::Write, 0.5);
        let mut page = String::new();
        meter.render(&mut page);
        assert!(page.contains("lamella_tenant_dollars_total{tenant=\"t0\",purpose=\"write\"} 1.5\n"), "{page}");
        let rest = format!("lamella_tenant_dollars_total{{tenant=\"\",purpose=\"write\"}} {}\n", TENANTS_MAX);
        assert!(page.contains(&rest), "the others are one sum");
        assert_eq!(page.lines().count(), 2 + 2 * TENANTS_MAX + 1);
    }
}
