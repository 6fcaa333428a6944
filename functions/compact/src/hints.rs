//! Backlog hints in an event: `{"tenant": "a", "signal": "metrics", "hour": "2026-11-21T07"}`, or a list of those under
//! `hints`. Whatever else an event says is ignored: the schedule stays the truth.

use compactor::Hint;
use model::{Hour, Signal, TenantId};
use serde_json::Value;
use store::keys::{Window, parse_day};

/// Hints read from one event; more are left to the schedule.
const HINTS_MAX: usize = 64;

/// Reads the hints of an event.
pub fn parse(event: &Value) -> Vec<Hint> {
    match event.get("hints").and_then(Value::as_array) {
        Some(hints) => hints.iter().take(HINTS_MAX).filter_map(hint).collect(),
        None => hint(event).into_iter().collect(),
    }
}

fn hint(value: &Value) -> Option<Hint> {
    let text = |name| value.get(name).and_then(Value::as_str);
    Some(Hint {
        tenant: TenantId::parse(text("tenant")?).ok()?,
        signal: Signal::parse(text("signal")?)?,
        window: Window::Hour(hour(text("hour")?)?),
    })
}

fn hour(text: &str) -> Option<Hour> {
    let (day, hour) = text.split_once('T')?;
    let hour: i64 = hour.parse().ok()?;
    (0..24).contains(&hour).then_some(Hour(parse_day(day)? * 24 + hour))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn hints_are_read_and_the_rest_is_ignored() {
        let window = Window::Hour(Hour(20_778 * 24 + 7));
        let one = json!({ "tenant": "a", "signal": "logs", "hour": "2026-11-21T07" });
        let hint = Hint { tenant: TenantId::parse("a").expect("valid"), signal: Signal::Logs, window };
        assert_eq!(parse(&one), vec![hint.clone()]);
        assert_eq!(parse(&json!({ "hints": [one, { "tenant": "a/b" }, 5] })), vec![hint]);
        for event in [json!({}), json!({ "time": "x" }), json!([]), json!({ "tenant": "a", "signal": "logs", "hour": "T" })] {
            assert_eq!(parse(&event), vec![]);
        }
    }
}
