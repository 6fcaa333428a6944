//! Keys of objects.

use super::{Window, format_day, parse_day};
use model::{Hour, Resolution, SegmentId, Signal, TenantId};
use object_store::path::Path;
use std::fmt;

/// What the key of a segment says. Keys are never reused: `nonce` is drawn afresh for every upload (W2).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ObjectKey {
    /// Whose data it is.
    pub tenant: TenantId,
    /// Metrics or logs.
    pub signal: Signal,
    /// The hour or day the manifest lists it under.
    pub window: Window,
    /// How densely it is sampled.
    pub resolution: Resolution,
    /// 0 as ingested, 1 and up once merged.
    pub level: u8,
    /// The segment's id.
    pub id: SegmentId,
    /// Fresh bits that make the key unique.
    pub nonce: u128,
}

impl ObjectKey {
    /// Returns the key as the object store takes it.
    pub fn path(&self) -> Path {
        Path::parse(self.to_string()).expect("tenant ids hold no separator and are never '.' or '..'")
    }

    /// Parses a key; `None` for anything this module did not spell.
    pub fn parse(key: &str) -> Option<ObjectKey> {
        let mut segments = key.split('/');
        let tenant = TenantId::parse(segments.next()?).ok()?;
        let signal = Signal::parse(segments.next()?)?;
        let day = parse_day(segments.next()?)?;
        let window = parse_window(day, segments.next()?)?;
        let mut fields = segments.next()?.strip_suffix(".seg")?.split('-');
        let resolution = Resolution::parse(fields.next()?)?;
        let level = fields.next()?.strip_prefix('l')?.parse().ok()?;
        let id = SegmentId::parse(fields.next()?)?;
        let nonce = SegmentId::parse(fields.next()?)?.0;
        let parsed = ObjectKey { tenant, signal, window, resolution, level, id, nonce };
        (parsed.to_string() == key).then_some(parsed)
    }

    /// Returns the prefix under which all objects of a tenant lie.
    pub fn tenant_prefix(tenant: &TenantId) -> Path {
        Path::parse(tenant.as_str()).expect("tenant ids hold no separator and are never '.' or '..'")
    }

    /// Returns the prefix under which all objects of a tenant and signal lie, one folder a day.
    pub fn signal_prefix(tenant: &TenantId, signal: Signal) -> Path {
        Path::parse(format!("{tenant}/{signal}")).expect("tenant ids hold no separator and are never '.' or '..'")
    }

    /// Returns the day of a folder under [`ObjectKey::signal_prefix`].
    pub fn day_of(folder: &Path) -> Option<i64> {
        parse_day(folder.filename()?)
    }

    /// Returns the prefix under which all objects of one day of a tenant and signal lie.
    pub fn day_prefix(tenant: &TenantId, signal: Signal, day: i64) -> Path {
        let text = format!("{tenant}/{signal}/{}", format_day(day));
        Path::parse(text).expect("tenant ids hold no separator and are never '.' or '..'")
    }
}

fn parse_window(day: i64, text: &str) -> Option<Window> {
    if text == "day" {
        return Some(Window::Day(day));
    }
    let hour: i64 = text.parse().ok()?;
    (0..24).contains(&hour).then(|| Window::Hour(Hour(day * 24 + hour)))
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/", self.tenant, self.signal, format_day(self.window.day()))?;
        match self.window {
            Window::Hour(hour) => write!(f, "{:02}", hour.0.rem_euclid(24))?,
            Window::Day(_) => f.write_str("day")?,
            // Packing moves no object: none is spelled like this, and [`ObjectKey::parse`] refuses it.
            Window::Month(_) => f.write_str("month")?,
        }
        write!(f, "/{}-l{}-{}-{:032x}.seg", self.resolution.as_str(), self.level, self.id, self.nonce)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_round_trip_and_start_with_the_tenant() {
        let key = ObjectKey {
            tenant: TenantId::parse("a.b*'()!_-").unwrap(),
            signal: Signal::Logs,
            window: Window::Hour(Hour(20_778 * 24 + 7)),
            resolution: Resolution::Raw,
            level: 0,
            id: SegmentId(5),
            nonce: 9,
        };
        let text = "a.b*'()!_-/logs/2026-11-21/07/raw-l0-00000000000000000000000000000005-00000000000000000000000000000009.seg";
        assert_eq!(key.to_string(), text);
        assert_eq!(key.path().as_ref(), text);
        assert_eq!(ObjectKey::parse(text), Some(key.clone()));
        assert!(text.starts_with(ObjectKey::signal_prefix(&key.tenant, key.signal).as_ref()));
        assert_eq!(ObjectKey::day_of(&ObjectKey::day_prefix(&key.tenant, key.signal, 20_778)), Some(20_778));
        let daily = ObjectKey { window: Window::Day(20_778), level: 3, resolution: Resolution::FiveMinutes, ..key };
        assert_eq!(ObjectKey::parse(daily.path().as_ref()), Some(daily));
        for bad in ["", "a", "a/logs/2026-11-21/24/raw-l0-x-y.seg", "a/logs/2026-11-21/7/raw-l0-0-0.seg"] {
            assert_eq!(ObjectKey::parse(bad), None);
        }
    }
}
