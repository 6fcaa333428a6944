//! Keys of records.

use super::{Window, format_day, parse_day};
use crate::RecordKey;
use model::{Hour, Resolution, SegmentId, Signal, TenantId};

/// Sort-key prefix of L0 items.
pub const L0_PREFIX: &str = "0#";
/// Sort-key prefix of heads.
pub const HEAD_PREFIX: &str = "HEAD";
/// Sort-key prefix of the pages of heads.
pub const PAGE_PREFIX: &str = "P#";
/// Sort-key prefix of a catalog's days.
pub const DAY_PREFIX: &str = "D#";
/// Sort-key prefix of a catalog's deletions.
pub const DELETION_PREFIX: &str = "X#";
/// Sort-key prefix of a catalog's parts in quarantine.
pub const QUARANTINE_PREFIX: &str = "Q#";
/// Sort-key prefix of ring epochs.
pub const EPOCH_PREFIX: &str = "E#";
/// Partition of the registry of tenants.
pub const TENANTS_PARTITION: &str = "T#tenants";
/// Partition of what compaction runs note.
pub const COMPACTION_PARTITION: &str = "J#compaction";

/// Returns the partition of a window's items and heads.
pub fn window_partition(tenant: &TenantId, signal: Signal, window: Window) -> String {
    format!("S#{tenant}#{signal}#{window}")
}

/// Returns the key of an L0 item.
pub fn l0_item(tenant: &TenantId, signal: Signal, hour: Hour, id: SegmentId) -> RecordKey {
    RecordKey { partition: window_partition(tenant, signal, Window::Hour(hour)), sort: format!("{L0_PREFIX}{id}") }
}

/// Parses the sort key of an L0 item.
pub fn parse_l0_sort(sort: &str) -> Option<SegmentId> {
    SegmentId::parse(sort.strip_prefix(L0_PREFIX)?)
}

/// Returns the key of a window's head at a resolution.
pub fn head(tenant: &TenantId, signal: Signal, window: Window, resolution: Resolution) -> RecordKey {
    let sort = match resolution {
        Resolution::Raw => HEAD_PREFIX.to_owned(),
        coarse => format!("{HEAD_PREFIX}#{}", coarse.as_str()),
    };
    RecordKey { partition: window_partition(tenant, signal, window), sort }
}

/// Parses the sort key of a head.
pub fn parse_head_sort(sort: &str) -> Option<Resolution> {
    match sort.strip_prefix(HEAD_PREFIX)? {
        "" => Some(Resolution::Raw),
        coarse => Resolution::parse(coarse.strip_prefix('#')?).filter(|resolution| *resolution != Resolution::Raw),
    }
}

/// Returns the key of a page of a head.
pub fn page(head: &RecordKey, id: u128) -> RecordKey {
    RecordKey { partition: head.partition.clone(), sort: format!("{PAGE_PREFIX}{}#{id:032x}", head.sort) }
}

/// Returns the prefix of the sort keys of a head's pages, and of those of the coarse heads beside it.
pub fn page_prefix(head: &RecordKey) -> String {
    format!("{PAGE_PREFIX}{}#", head.sort)
}

/// Parses the sort key of a page of this head; `None` for the pages of another.
pub fn parse_page_sort(head: &RecordKey, sort: &str) -> Option<u128> {
    Some(SegmentId::parse(sort.strip_prefix(&page_prefix(head))?)?.0)
}

/// Returns the partition of a catalog.
pub fn catalog_partition(tenant: &TenantId, signal: Signal) -> String {
    format!("C#{tenant}#{signal}")
}

/// Returns the key of a catalog's day.
pub fn catalog_day(tenant: &TenantId, signal: Signal, day: i64) -> RecordKey {
    RecordKey { partition: catalog_partition(tenant, signal), sort: format!("{DAY_PREFIX}{}", format_day(day)) }
}

/// Parses the sort key of a catalog's day.
pub fn parse_day_sort(sort: &str) -> Option<i64> {
    parse_day(sort.strip_prefix(DAY_PREFIX)?)
}

/// Returns the key of a deletion, which lies beside the catalog's days so that one query reads both.
pub fn deletion(tenant: &TenantId, signal: Signal, id: u128) -> RecordKey {
    RecordKey { partition: catalog_partition(tenant, signal), sort: format!("{DELETION_PREFIX}{id:032x}") }
}

/// Returns the key of a part in quarantine.
pub fn quarantined(tenant: &TenantId, signal: Signal, id: SegmentId) -> RecordKey {
    RecordKey { partition: catalog_partition(tenant, signal), sort: format!("{QUARANTINE_PREFIX}{id}") }
}

/// Returns the partition of a tenant's ring.
pub fn ring_partition(tenant: &TenantId) -> String {
    format!("R#{tenant}")
}

/// Returns the key of a ring epoch, zero-padded so that sort order is numeric.
pub fn ring_epoch(tenant: &TenantId, epoch: u32) -> RecordKey {
    RecordKey { partition: ring_partition(tenant), sort: format!("{EPOCH_PREFIX}{epoch:010}") }
}

/// Returns the key of a tenant's entry in the registry.
pub fn registered(tenant: &TenantId, signal: Signal) -> RecordKey {
    RecordKey { partition: TENANTS_PARTITION.to_owned(), sort: format!("{tenant}#{signal}") }
}

/// Returns the key under which a compaction run notes where it stopped.
pub fn compaction_cursor() -> RecordKey {
    RecordKey { partition: COMPACTION_PARTITION.to_owned(), sort: "cursor".to_owned() }
}

/// Returns the key under which the time of a tenant's last inventory stands.
pub fn compaction_inventory(tenant: &TenantId, signal: Signal) -> RecordKey {
    RecordKey { partition: COMPACTION_PARTITION.to_owned(), sort: format!("inventory#{tenant}#{signal}") }
}

/// Returns the key under which an import notes how far it is with a foreign block, by the block's own id.
pub fn imported_block(tenant: &TenantId, block: &str) -> RecordKey {
    RecordKey { partition: format!("I#{tenant}"), sort: block.to_owned() }
}

/// Returns the partition of a tenant's elections.
pub fn election_partition(tenant: &TenantId) -> String {
    format!("H#{tenant}")
}

/// Returns the key of the election among a cluster's replicas.
pub fn election(tenant: &TenantId, cluster: &str) -> RecordKey {
    RecordKey { partition: election_partition(tenant), sort: cluster.to_owned() }
}

/// Parses the sort key of a registry entry.
pub fn parse_registered(sort: &str) -> Option<(TenantId, Signal)> {
    let (tenant, signal) = sort.split_once('#')?;
    Some((TenantId::parse(tenant).ok()?, Signal::parse(signal)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_as_the_design_spells_them() {
        let tenant = TenantId::parse("team").unwrap();
        let hour = Hour(20_778 * 24 + 7);
        let cases = [
            (
                l0_item(&tenant, Signal::Metrics, hour, SegmentId(1)),
                "S#team#metrics#2026-11-21T07 0#00000000000000000000000000000001",
            ),
            (head(&tenant, Signal::Logs, Window::Day(20_778), Resolution::Raw), "S#team#logs#2026-11-21 HEAD"),
            (head(&tenant, Signal::Metrics, Window::Hour(hour), Resolution::OneHour), "S#team#metrics#2026-11-21T07 HEAD#1h"),
            (catalog_day(&tenant, Signal::Metrics, 20_778), "C#team#metrics D#2026-11-21"),
            (deletion(&tenant, Signal::Logs, 255), "C#team#logs X#000000000000000000000000000000ff"),
            (quarantined(&tenant, Signal::Logs, SegmentId(1)), "C#team#logs Q#00000000000000000000000000000001"),
            (ring_epoch(&tenant, 3), "R#team E#0000000003"),
            (registered(&tenant, Signal::Logs), "T#tenants team#logs"),
            (compaction_cursor(), "J#compaction cursor"),
            (compaction_inventory(&tenant, Signal::Logs), "J#compaction inventory#team#logs"),
            (election(&tenant, "eu-1"), "H#team eu-1"),
            (imported_block(&tenant, "01GTMDG2R6DQ0E0VAFH4MGG8BE"), "I#team 01GTMDG2R6DQ0E0VAFH4MGG8BE"),
        ];
        for (key, text) in cases {
            assert_eq!(key.to_string(), text);
        }
        let (raw, coarse) =
            [Resolution::Raw, Resolution::FiveMinutes].map(|of| head(&tenant, Signal::Logs, Window::Day(0), of)).into();
        assert_eq!(page(&coarse, 5).sort, "P#HEAD#5m#00000000000000000000000000000005");
        assert_eq!(parse_page_sort(&coarse, &page(&coarse, 5).sort), Some(5));
        assert_eq!(parse_page_sort(&raw, &page(&coarse, 5).sort), None);
        assert_eq!(parse_l0_sort("0#00000000000000000000000000000001"), Some(SegmentId(1)));
        assert_eq!(parse_day_sort("D#2026-11-21"), Some(20_778));
        assert_eq!(parse_registered("team#logs"), Some((tenant, Signal::Logs)));
    }
}
