//! Flags that choose tenants, signals and windows.

use clap::Args;
use model::{Resolution, Signal, TenantId};
use store::keys::{Window, parse_window};

use crate::cli::ToolOptions;

/// Which tenants, signals and windows.
#[derive(Args, Clone, Debug, Default)]
pub struct Filter {
    /// Only this tenant.
    #[arg(long, value_parser = parse_tenant)]
    pub tenant: Option<TenantId>,
    /// Only metrics or only logs.
    #[arg(long, value_parser = parse_signal)]
    pub signal: Option<Signal>,
    /// Only this hour (2026-11-21T11) or all of this day (2026-11-21), UTC.
    #[arg(long, value_parser = window)]
    pub window: Option<Window>,
}

/// Which of their segments.
#[derive(Args, Clone, Debug, Default)]
pub struct PartFilter {
    /// Which windows.
    #[command(flatten)]
    pub of: Filter,
    /// Only this level: 0 as ingested, 1 and up merged.
    #[arg(long)]
    pub level: Option<u8>,
    /// Only raw, 5m or 1h.
    #[arg(long, value_parser = parse_resolution)]
    pub resolution: Option<Resolution>,
}

/// Whose records to list, of a kind that knows no windows.
#[derive(Args, Clone, Debug)]
pub struct LsOptions {
    /// Only this tenant.
    #[arg(long, value_parser = parse_tenant)]
    pub tenant: Option<TenantId>,
    /// Only metrics or only logs.
    #[arg(long, value_parser = parse_signal)]
    pub signal: Option<Signal>,
    /// Storage and output.
    #[command(flatten)]
    pub tool: ToolOptions,
}

impl LsOptions {
    /// Returns the tenants and signals that are meant.
    pub fn filter(&self) -> Filter {
        Filter { tenant: self.tenant.clone(), signal: self.signal, window: None }
    }
}

impl Filter {
    /// Reports whether the tenant and signal are meant.
    pub fn admits(&self, tenant: &TenantId, signal: Signal) -> bool {
        self.tenant.as_ref().is_none_or(|of| of == tenant) && self.signal.is_none_or(|of| of == signal)
    }

    /// Reports whether the day has a window that is meant.
    pub fn admits_day(&self, day: i64) -> bool {
        self.window.is_none_or(|of| of.day() == day)
    }

    /// Reports whether the window is meant: an hour by itself or by its day.
    pub fn admits_window(&self, window: Window) -> bool {
        self.window.is_none_or(|of| of == window || of == Window::Day(window.day()))
    }
}

impl PartFilter {
    /// Reports whether the segment is meant.
    pub fn admits_part(&self, part: &::manifest::Part) -> bool {
        self.of.admits_window(part.window)
            && self.level.is_none_or(|level| level == part.level)
            && self.resolution.is_none_or(|resolution| resolution == part.resolution)
    }
}

/// Parses a tenant's id.
pub fn parse_tenant(text: &str) -> Result<TenantId, String> {
    TenantId::parse(text).map_err(|error| error.to_string())
}

/// Parses `metrics` or `logs`.
pub fn parse_signal(text: &str) -> Result<Signal, String> {
    Signal::parse(text).ok_or_else(|| "expected metrics or logs".to_owned())
}

fn parse_resolution(text: &str) -> Result<Resolution, String> {
    Resolution::parse(text).ok_or_else(|| "expected raw, 5m or 1h".to_owned())
}

/// Parses an hour or a day.
pub fn window(text: &str) -> Result<Window, String> {
    parse_window(text).ok_or_else(|| "expected an hour such as 2026-11-21T11 or a day such as 2026-11-21".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_means_its_hours() {
        let of = |text| Filter { window: window(text).ok(), ..Filter::default() };
        let hour = window("2026-11-21T11").expect("valid");
        assert!(of("2026-11-21").admits_window(hour) && of("2026-11-21T11").admits_window(hour));
        assert!(!of("2026-11-21T12").admits_window(hour) && !of("2026-11-20").admits_window(hour));
        assert!(of("2026-11-21T12").admits_day(hour.day()) && !of("2026-11-20").admits_day(hour.day()));
        assert!(Filter::default().admits_window(hour));
        for bad in ["", "2026-11-21T", "2026-11-21T24", "2026-11-21T7", "2026-02-30", "x"] {
            assert!(window(bad).is_err(), "{bad}");
        }
    }
}
